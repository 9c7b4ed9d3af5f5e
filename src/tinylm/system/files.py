"""Atomic writes: a file is whole or not there, also after a power cut.

On Windows a file that somebody has open, be it a virus scanner for a moment, can be neither replaced nor moved nor
removed, and no folder above it; what does one of these does it by `patiently`.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

try:
    import fcntl

    FULL_FLUSH: int | None = getattr(fcntl, "F_FULLFSYNC", None)
except ImportError:  # Windows
    FULL_FLUSH = None
"""The command of `fcntl` that empties the cache of the drive, too: on macOS fsync leaves it full."""

P = ParamSpec("P")
T = TypeVar("T")

RETRY_SECONDS = 2.0
"""Seconds for which `patiently` tries."""
MIN_PAUSE, MAX_PAUSE = 0.01, 0.2
"""Seconds between two tries: the first pause and the longest."""
STALE_SECONDS = 3600
"""Age of a temporary file or folder from which nobody is taken to be writing it any more."""


def patiently(action: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Calls `action`. While it raises PermissionError it is called again in growing pauses, for `RETRY_SECONDS`: by
    this error Windows, and the disk of a network, say that another program has the file open.

    >>> patiently(max, 1, 2)
    2
    """
    deadline, pause = time.monotonic() + RETRY_SECONDS, MIN_PAUSE
    while True:
        try:
            return action(*arguments, **named)
        except PermissionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE)


def write_remedy(error: Exception) -> str:
    """The advice for a file that could not be written, replaced or moved.

    >>> write_remedy(OSError(28, "No space left on device"))
    'Make room there'
    """
    if isinstance(error, PermissionError):
        return "Close the program that has it open, or give yourself the right to write there"
    return "Make room there"


def flush(handle: int) -> None:
    """Waits until all that was written through a handle is on the disk, and not only in a cache of the system or of the
    drive. The handle must be one for writing, save that of a folder: Windows flushes no other."""
    if FULL_FLUSH is not None:
        try:
            fcntl.fcntl(handle, FULL_FLUSH)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):  # a disk that has no such command
                raise
    os.fsync(handle)


def fsync(path: Path) -> None:
    """Waits until a file's content, or the names in a folder, are on the disk (`flush`)."""
    is_folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    except PermissionError:
        if is_folder:  # Windows opens no folders, and writes their names by itself
            return
        raise
    try:
        flush(handle)
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
        patiently(os.replace, temporary, path)
        fsync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def place_file(source: Path, target: Path, *, force: bool) -> None:
    """Renames a file that is whole to `target`.

    Args:
        force: a file that is there is replaced.

    Raises:
        FileExistsError: without `force`, something is there.
        OSError: the file could not be renamed.
    """
    if force:
        patiently(os.replace, source, target)
        return
    try:
        os.link(source, target)  # unlike a rename, it never takes another file's place
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        patiently(os.rename, source, target)
    else:
        source.unlink()


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
        temporary.write_text(text, encoding="utf-8", newline="\n")


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
