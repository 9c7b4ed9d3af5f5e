"""python -m bases: see bases/__init__.py."""

from __future__ import annotations

import sys
from pathlib import Path

from bases.store import store
from bases.texts import write_texts

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["texts", folder]:
            write_texts(Path(folder).resolve())
        case ["store", run, folder, name]:
            store(Path(run), Path(folder), name)
        case _:
            sys.exit("usage: python -m bases texts FOLDER | store RUN FOLDER NAME")
