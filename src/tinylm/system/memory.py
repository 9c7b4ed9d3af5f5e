"""Memory of this process: its peak, and returning freed memory and pages to the system."""

from __future__ import annotations

import mmap
import sys
from typing import Any

from numpy.typing import NDArray

from tinylm.system.cgroups import free_memory, memory_limit


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def total_memory_bytes() -> int:
    """The memory of this machine in bytes, or what control groups leave of it to this process."""
    import psutil

    return min(psutil.virtual_memory().total, memory_limit())


def available_memory_bytes() -> int:
    """The memory of this machine that is free, in bytes, or what control groups leave of it to this process."""
    import psutil

    return min(psutil.virtual_memory().available, free_memory())


def trim_heap() -> None:
    """Returns freed heap memory to the system. glibc would keep it, hundreds of megabytes after some work. Does nothing
    where the C library cannot be asked."""
    import psutil

    if hasattr(psutil, "heap_trim"):
        psutil.heap_trim()


def release_pages(array: NDArray[Any]) -> None:
    """Drops the pages that this process has read of a memory-mapped array, which count as its memory until then. The
    system's cache keeps the pages while memory is free, so reading them again costs little. An array that is not
    memory-mapped stays as it is."""
    mapped: Any = getattr(array, "_mmap", None)
    if hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)
