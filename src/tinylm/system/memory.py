"""The memory of this process: the most that it has held, and giving back what it no longer needs."""

from __future__ import annotations

import mmap
import sys
from typing import Any

from numpy.typing import NDArray


def peak_memory_bytes() -> int:
    """The most memory that this process has held, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def trim_heap() -> None:
    """To the system, what was freed. glibc keeps it otherwise, hundreds of megabytes of it after some work."""
    import psutil

    if hasattr(psutil, "heap_trim"):  # where the C library can be asked
        psutil.heap_trim()


def release_pages(array: NDArray[Any]) -> None:
    """Those of a memory-mapped array that this process has read: they count as its own until then. They stay in the
    system's cache as long as there is room, so reading them again costs little. Any other array is left alone."""
    mapped: Any = getattr(array, "_mmap", None)
    if hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)
