"""Control groups of Linux: the share of processor time, and the memory, that a container, a batch system such as SLURM,
or a slice of systemd leaves to this process.

Every group on the way from the process's own up to the root may set a limit, and the smallest holds. Version 2 has one
hierarchy, version 1 has one for each controller (man 7 cgroups). In a container the path of the group is often one of
the host, of which the container sees nothing but its own group, in the place of the root.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

ROOT = Path("/")
NO_LIMIT = 2**63
"""Bytes that no machine has."""


@cache
def cpu_quota(root: Path = ROOT) -> float | None:
    """The cores' worth of time that the process may use; None without a limit.

    Args:
        root: of the file system that has proc/ and sys/.
    """
    quotas = []
    for folder in _groups("cpu", root):
        with suppress(OSError, ValueError):
            quotas.append(_quota(folder))
    return min((quota for quota in quotas if quota > 0), default=None)


def _quota(folder: Path) -> float:
    """Raises: OSError, ValueError: the group sets no limit."""
    if (folder / "cpu.max").exists():
        most, period = (folder / "cpu.max").read_text().split()
    else:
        most, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    return int(most) / max(1, int(period))


def memory_limit(root: Path = ROOT) -> int:
    """Bytes that the process may hold; `NO_LIMIT` without a limit."""
    return min((limit for limit, _ in _memory(root)), default=NO_LIMIT)


def free_memory(root: Path = ROOT) -> int:
    """Bytes that are left to the process; `NO_LIMIT` without a limit. Pages of files that were not used for a while
    count as free: the kernel drops them when memory is needed."""
    return min((limit - used for limit, used in _memory(root)), default=NO_LIMIT)


def _memory(root: Path) -> Iterator[tuple[int, int]]:
    """The limit of each group that sets one, and the bytes that the group uses."""
    for folder in _groups("memory", root):
        for limit, used, idle in (("memory.max", "memory.current", "inactive_file"),
                                  ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")):
            with suppress(OSError, ValueError):
                most, now = (int((folder / name).read_text()) for name in (limit, used))
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                yield most, max(0, now - int(stat.get(idle, 0)))


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of the process's group and of all groups above, in either version of control groups."""
    mounted = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for mount in (mounted / controller, mounted / controllers) if controllers else (mounted, mounted / "unified"):
            yield from (mount.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1))
