"""A program: loads a model again and again while a thread cuts its files short, writes over them and replaces them.

    python changes.py LOADS FOLDER

Prints one JSON object: how many loads there were, and those that ended in anything but a model or our error.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from models import small_model

import tinylm
from tinylm.errors import TinyLMError


def disturb(folder: Path, ended: threading.Event) -> None:
    sound = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for name, share in itertools.cycle(itertools.product(sound, (0.0, 0.3, 0.9))):
        if ended.is_set():
            return
        os.truncate(folder / name, int(share * len(sound[name])))
        (folder / name).write_bytes(sound[name])
        (folder / "new").write_bytes(sound[name])
        (folder / "new").replace(folder / name)
        ended.wait(0.001)


def run(loads: int, scratch: Path) -> dict[str, Any]:
    folder = small_model(scratch / "model", "char")
    ended, failures = threading.Event(), []
    thread = threading.Thread(target=disturb, args=(folder, ended))
    thread.start()
    loaded = 0
    for number in range(loads):
        try:
            tinylm.load(folder).predict("how are")
            loaded += 1
        except TinyLMError:
            pass
        except BaseException as error:
            failures.append(f"load {number}: {type(error).__name__}: {error}")
    ended.set()
    thread.join()
    return {"loads": loads, "loaded": loaded, "failures": failures}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), Path(sys.argv[2]))))
