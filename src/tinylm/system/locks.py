"""Locks between processes. The lock is the system's own: it ends with its holder, however that ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    while True:
        path.touch()
        before = _inode(path)
        lock.acquire(timeout=max(0.0, deadline - time.monotonic()), poll_interval=0.02)
        if before is not None and _inode(path) == before:
            break
        lock.release()  # of a file that the process before has removed meanwhile
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it once it is closed
            path.unlink()
        lock.release()


def _inode(path: Path) -> int | None:
    """The number of the file at a path; None: there is none at this moment."""
    with suppress(FileNotFoundError):
        return path.stat().st_ino
    return None
