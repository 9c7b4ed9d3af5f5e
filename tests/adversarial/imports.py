"""A program: damages models of other programs and imports them under an audit hook, one case after another.

    python imports.py FORMAT FIRST LAST FOLDER

FORMAT is gguf, hf, peft or gguf-adapter. Case n is always the same damage. Prints one JSON object: the cases, how many
could still be used, and what was wrong: an error that is not tinylm's, one that took more than a second or 64 MB and
twice the files, or a process, a socket, or a file opened for writing.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import gguf_adapters
import gguf_files
import hugging_face_folders
import numpy as np
import peft_folders

from tinylm.errors import TinyLMError
from tinylm.interchange.importing import read_model
from tinylm.system.memory import peak_memory_bytes

MOST_SECONDS, MOST_MEMORY, HANGING = 1.0, 64 << 20, 60
FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.remove", "os.rename", "os.mkdir",
             "compile", "exec", "pickle.", "ctypes.dlopen")
CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Format(NamedTuple):
    """A format of models: makes sound ones in a folder and returns their paths, damages the model of a path, and reads
    its numbers.

    `damage` returns what it did, the bytes of the model, and how it is undone.
    """

    make: Callable[[Path], list[Path]]
    damage: Callable[[Path, random.Random], tuple[str, int, Callable[[], object]]]
    read: Callable[[Path], Iterable[Any]]


def read_weights(path: Path) -> Iterable[Any]:
    return read_model(path).weights.values()


FORMATS = {"gguf": Format(gguf_files.make, gguf_files.damage, read_weights),
           "hf": Format(hugging_face_folders.make, hugging_face_folders.damage, read_weights),
           "peft": Format(peft_folders.make, hugging_face_folders.damage, peft_folders.read),
           "gguf-adapter": Format(gguf_adapters.make, gguf_files.damage, gguf_adapters.read)}


class Watch:
    """Notes what the program does, while `label` is set, that reading never does."""

    def __init__(self) -> None:
        self.label, self.failures = "", list[str]()
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and bool(arguments[2] & CHANGES)
        if self.label and (writes or event.startswith(FORBIDDEN)):
            self.failures.append(f"{self.label}: {event} {str(arguments)[:200]}")


def use(form: Format, path: Path) -> str:
    """Reads a model. Returns "", or the error of tinylm's."""
    try:
        numbers = list(form.read(path))
    except TinyLMError as error:
        return str(error)
    assert all(np.isfinite(each).all() for each in numbers)
    return ""


def run(form: Format, first: int, last: int, folder: Path) -> dict[str, Any]:
    bases = form.make(folder)
    for path in bases:
        assert use(form, path) == "", use(form, path)
    watch, refused, slowest = Watch(), 0, 0.0
    failures, start = watch.failures, peak_memory_bytes()
    peak = start
    for case in range(first, last):
        path = bases[case % len(bases)]
        how, size, undo = form.damage(path, random.Random(f"import {case}"))
        label = f"case {case}: {path.name}, {how}"
        faulthandler.dump_traceback_later(HANGING, exit=True)
        began, watch.label = time.process_time(), label
        try:
            said = use(form, path)
            assert said.isprintable(), repr(said[:300])
            assert len(said) <= 2000, said[:300]
            refused += said != ""
        except BaseException as error:
            failures.append(f"{label}: {type(error).__name__}: {str(error)[:300]}")
        watch.label, seconds = "", time.process_time() - began
        faulthandler.cancel_dump_traceback_later()
        undo()
        slowest = max(slowest, seconds)
        if seconds > MOST_SECONDS:
            failures.append(f"{label}: took {seconds:.2f} s")
        if peak_memory_bytes() > max(peak, start + MOST_MEMORY + 2 * size):
            failures.append(f"{label}: the memory grew by {(peak_memory_bytes() - start) >> 20} MB")
        peak = max(peak, peak_memory_bytes())
    return {"cases": last - first, "used": last - first - refused, "refused": refused, "slowest": slowest,
            "memory_growth": peak - start, "failures": failures}


if __name__ == "__main__":
    print(json.dumps(run(FORMATS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
