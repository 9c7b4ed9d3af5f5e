"""Atomic writes: a file is whole or not there, also after a power cut."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STALE_SECONDS = 3600
"""Age of a temporary file or folder from which nobody is taken to be writing it any more."""


def fsync(path: Path) -> None:
    """Waits until a file's content, or the names in a folder, are on the disk and not only in the system's cache."""
    if path.is_dir() and os.name == "nt":  # Windows opens no folders, and writes their names by itself
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replaced_atomically(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`. A file that the block writes there replaces `path` when the block ends
    well: at every moment the earlier file or the new one is there, whole. Of several processes that write `path` at
    once, each has a temporary path of its own, and the last to end wins.

    Raises:
        OSError: the file cannot be written; the earlier one then stays.
    """
    remove_stale(path.parent, f".{glob.escape(path.name)}.????????.new")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        yield temporary
        fsync(temporary)
        os.replace(temporary, path)
        fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_stale(folder: Path, pattern: str) -> None:
    """Removes temporary files and folders that a killed process left: those of `folder` whose name matches `pattern`
    (glob), if nothing in them was written within the last `STALE_SECONDS`."""
    for path in folder.glob(pattern):
        with suppress(OSError):  # another user's, or its process takes it away just now
            if time.time() - max(entry.lstat().st_mtime for entry in (path, *path.glob("**/*"))) > STALE_SECONDS:
                path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes text (UTF-8) to a temporary file in the same folder, which then replaces `path`.

    Raises:
        OSError: the file cannot be written; one that was there stays as it was.
    """
    if path.is_dir():  # also . and /, which have no name to derive another from
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with replaced_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


MAX_NAME_LENGTH = 100
"""Characters of a folder's name that is made from the name of a text, at most, and half of its bytes; endings such as
.old still fit."""
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|COM\d|LPT\d)(\.|$)", re.IGNORECASE)


def legal_name(name: str) -> str:
    """A folder name that every system accepts, Windows included, as near to `name` as possible; empty if no character
    is left.

    >>> legal_name("what? part 2."), legal_name("con")
    ('what_ part 2', '_con')
    """
    kept = _NOT_IN_NAMES.sub("_", name).lstrip(". ")[:MAX_NAME_LENGTH]
    kept = kept.encode()[:2 * MAX_NAME_LENGTH].decode("utf-8", "ignore").rstrip(". ")
    return f"_{kept}" if _DEVICES.match(kept) else kept
