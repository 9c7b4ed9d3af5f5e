"""Files that are whole or not there, also after a power cut."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def replaced_atomically(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`. A file that the block writes there replaces `path` when the block ends
    well: at every moment the earlier file or the new one is there, whole.

    Raises:
        OSError: the file cannot be written; the earlier one then stays.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)  # left by a kill; it may be a link to another file
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) beside its place, then puts it there. Raises: OSError; what was there then stays."""
    if path.is_dir():  # also . and /, which have no name to write a file beside
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with replaced_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


MOST_NAME = 100
"""Characters of the name of a folder that is made after a text, at most, and half of its bytes: endings such as .old
find room."""
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|COM\d|LPT\d)(\.|$)", re.IGNORECASE)


def legal_name(name: str) -> str:
    """A name that every system takes for a folder, Windows included, as near to `name` as can be; empty if nothing of
    it is left.

    >>> legal_name("what? part 2."), legal_name("con")
    ('what_ part 2', '_con')
    """
    kept = _NOT_IN_NAMES.sub("_", name).lstrip(". ")[:MOST_NAME]
    kept = kept.encode()[:2 * MOST_NAME].decode("utf-8", "ignore").rstrip(". ")
    return f"_{kept}" if _DEVICES.match(kept) else kept
