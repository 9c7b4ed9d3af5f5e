"""python -m bases: see bases/__init__.py."""

from __future__ import annotations

import sys
from pathlib import Path

from bases.texts import write_texts

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["texts", folder]:
            write_texts(Path(folder).resolve())
        case _:
            sys.exit("usage: python -m bases texts FOLDER")
