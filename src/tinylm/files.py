"""Files that are whole or not there, also after a power cut."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def flush(path: Path) -> None:
    """Returns when a file, or the list of a folder's names, is on the disk and not only on its way there."""
    if path.is_dir() and os.name == "nt":  # where a folder cannot be opened, nor need be
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(temporary: Path, path: Path) -> None:
    """A finished file takes the place of another of its name: at every moment one of them is there, whole."""
    flush(temporary)
    os.replace(temporary, path)
    flush(path.parent)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) beside its place, then puts it there. Raises: OSError; what was there then stays."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
