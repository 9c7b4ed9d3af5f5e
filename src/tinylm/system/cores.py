"""Cores that this process may compute on: those that it is bound to, within the quota of its control group; and those
among them that are as fast as the fastest.

Processors of phones, of Apple, and of Intel since 2021 have fast and slow cores. Where each core gets the same share of
a product, all wait for the slowest.
"""

from __future__ import annotations

import math
import os
import platform
import re
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from tinylm.system.cgroups import ROOT, cpu_quota

FAST_SHARE = 0.75
"""A core that has this share of the fastest core's speed is fast. Turbo frequencies differ by less, kinds of cores by
more."""


def available_cores(root: Path = ROOT) -> int:
    """The number of cores that this process may use: those of its affinity, or as many as its quota of time is worth,
    rounded up, if these are fewer.

    Args:
        root: of the file system that has proc/ and sys/.
    """
    quota = cpu_quota(root)
    bound = len(_affinity())
    return bound if quota is None else min(bound, math.ceil(quota))


def fast_cores(root: Path = ROOT) -> int:
    """The number of available cores that are about as fast as the fastest: all of them on most machines. On a machine
    with fast and slow ones, two threads of a fast core (hyper-threading) count as one."""
    cores, speeds = available_cores(root), _speeds(root)
    if sys.platform == "darwin":
        return min(cores, _apple_number("hw.perflevel0.logicalcpu") or cores)
    fast = {cpu for cpu, speed in speeds.items() if speed >= FAST_SHARE * max(speeds.values())}
    if len(fast) == len(speeds):
        return cores
    return min(cores, len({_siblings(cpu, root) for cpu in fast}))


def _affinity() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


@cache
def _speeds(root: Path) -> dict[int, float]:
    """Speeds of the available cores, in any unit; empty where Linux does not tell. Intel's fast cores are listed as
    such; other processors have a capacity, or else a highest frequency."""
    listed = root / "sys/devices/cpu_core/cpus"
    with suppress(OSError, ValueError):
        fast = parse_cpu_list(listed.read_text())
        return {cpu: float(cpu in fast) for cpu in _affinity()}
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        speeds = {}
        for cpu in _affinity():
            with suppress(OSError, ValueError):
                speeds[cpu] = float((root / f"sys/devices/system/cpu/cpu{cpu}" / name).read_text())
        if len(set(speeds.values())) > 1:
            return speeds
    return {}


def _siblings(cpu: int, root: Path) -> str:
    """The threads of the core that this one belongs to, such as `0-1`."""
    with suppress(OSError):
        return (root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    return str(cpu)


def parse_cpu_list(text: str) -> set[int]:
    """The numbers of a list as Linux writes it.

    >>> sorted(parse_cpu_list("0-3,8"))
    [0, 1, 2, 3, 8]
    """
    numbers = set[int]()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


@cache
def _apple_number(name: str) -> int:
    """A number that a Mac tells of itself; 0 where it does not."""
    with suppress(OSError, ValueError):
        return int(subprocess.run(["sysctl", "-n", name], capture_output=True, check=False).stdout)
    return 0


def arm_has_bfloat16(root: Path = ROOT, machine: str | None = None) -> bool:
    """True if this is an ARM processor with instructions that multiply bfloat16 (Neoverse V1 and N2, Apple M2, and
    later ones).

    Args:
        root: of the file system that has proc/.
        machine: kind of the processor, as `platform.machine` names it; None: asks.
    """
    if (machine or platform.machine()).lower() not in ("aarch64", "arm64"):
        return False
    if sys.platform == "darwin":
        return _apple_number("hw.optional.arm.FEAT_BF16") == 1
    with suppress(OSError):
        features = re.search(r"^Features\s*:(.*)$", (root / "proc/cpuinfo").read_text(), re.MULTILINE)
        return features is not None and "bf16" in features[1].split()
    return False
