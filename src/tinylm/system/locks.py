"""Locks between processes. The lock is the system's own: it ends with its holder, however that ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

LOOKING_SECONDS = 0.2
"""Seconds that a lock is waited for: a process that only looks whether it is free holds it for less."""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Within the block no other process is in a block of the same `path`. The file is there as long as the lock is
    held. Windows moves no folder in which a file is open: the file must not lie in a folder that is renamed meanwhile.

    Raises:
        TimeoutError: another process is in the block.
        OSError: the file cannot be made.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with exclusive(Path(folder) / ".lock"):
    ...         held = [path.name for path in Path(folder).iterdir()]
    ...     held, list(Path(folder).iterdir())
    (['.lock'], [])
    """
    from filelock import FileLock

    lock, deadline = FileLock(path), time.monotonic() + LOOKING_SECONDS
    try:
        path.touch()
        while not _acquired(lock, path, max(0.0, deadline - time.monotonic())):
            path.touch()
        yield
    finally:
        with suppress(OSError):  # Ctrl-C may have come before it was held; Windows removes it once it is closed
            if lock.is_locked or (path.exists() and _acquired(lock, path, 0.0)):
                path.unlink()
        lock.release()


def _acquired(lock: FileLock, path: Path, seconds: float) -> bool:
    """Acquires the lock of the file at a path. False: the process before has removed the file meanwhile. Raises:
    TimeoutError."""
    before = _inode(path)
    lock.acquire(timeout=seconds, poll_interval=0.02)
    if before is not None and _inode(path) == before:
        return True
    lock.release()
    return False


def _inode(path: Path) -> int | None:
    """The number of the file at a path; None: there is none at this moment."""
    with suppress(FileNotFoundError):
        return path.stat().st_ino
    return None
