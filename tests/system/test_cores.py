"""Cores that count: within the affinity and the quota, and of unlike cores the fast ones. File systems are made up."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from tinylm.model.threads import threads_for
from tinylm.system import cores
from tinylm.system.cgroups import cpu_quota
from tinylm.system.cores import arm_has_bfloat16, available_cores, fast_cores

CPUS = "sys/devices/system/cpu"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a machine of so many logical cores, all of which are available."""
    def made(n_cpus: int, files: dict[str, object]) -> Path:
        monkeypatch.setattr(cores, "_affinity", lambda: set(range(n_cpus)))
        monkeypatch.setattr(sys, "platform", "linux")
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{content}\n")
        return tmp_path

    return made


def of_each(name: str, values: list[object]) -> dict[str, object]:
    return {f"{CPUS}/cpu{cpu}/{name}": value for cpu, value in enumerate(values)}


@pytest.mark.parametrize(("files", "fast"), [
    (of_each("cpu_capacity", [1024] * 8), 8),
    (of_each("cpu_capacity", [446] * 4 + [1024] * 4), 4),  # RK3588: four Cortex-A55, four A76
    (of_each("cpu_capacity", [378] * 3 + [871] * 4 + [1024]), 5),  # a phone's three kinds
    (of_each("cpufreq/cpuinfo_max_freq", [5000000, 4900000, 4800000, 4800000] * 2), 8),  # one kind, cores unlike
    (of_each("cpufreq/cpuinfo_max_freq", [5100000] * 4 + [3300000] * 4), 4),  # Zen 5 and 5c
    ({"sys/devices/cpu_core/cpus": "0-3", "sys/devices/cpu_atom/cpus": "4-7",
      **of_each("topology/thread_siblings_list", ["0-1", "0-1", "2-3", "2-3", 4, 5, 6, 7])}, 2),
    ({"sys/devices/cpu_core/cpus": "0-7"}, 8),
    ({"sys/devices/cpu_core/cpus": "20-23"}, 8),  # bound to slow cores alone
    ({}, 8),
], ids=["equal", "big.LITTLE", "phone", "turbo", "dense cores", "Intel", "Intel, one kind", "Intel, bound", "unknown"])
def test_fast_cores(make, files: dict[str, object], fast: int) -> None:
    assert fast_cores(make(8, files)) == fast


def test_the_quota_is_rounded_up_and_holds_for_both(make) -> None:
    root = make(64, {"proc/self/cgroup": "0::/job", "sys/fs/cgroup/job/cpu.max": "150000 100000"})
    assert (available_cores(root), fast_cores(root)) == (2, 2)
    (root / "sys/fs/cgroup/job/cpu.max").write_text("10000 100000\n")
    cpu_quota.cache_clear()  # a program asks once
    assert (available_cores(root), fast_cores(root)) == (1, 1)


def test_a_mac_is_asked(make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for the system's program, with its answers: the number, or an error."""
    if os.name == "nt":
        pytest.skip("needs a shell")
    root, program = make(8, {}), tmp_path / "sysctl"
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for script, fast in (('[ "$*" = "-n hw.perflevel0.logicalcpu" ] && echo 4', 4), ("exit 1", 8)):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        cores._apple_number.cache_clear()
        assert fast_cores(root) == fast
    cores._apple_number.cache_clear()


def test_what_this_machine_has() -> None:
    assert 1 <= fast_cores() <= available_cores() <= (os.cpu_count() or 1)


def test_work_is_shared_among_no_more_threads_than_cores() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 7)
        assert threads_for(1e12) == min(available_cores(), fast_cores())
        torch.set_num_threads(1)
        assert threads_for(1e12) == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("machine", "features", "there"), [
    ("aarch64", "Features\t: fp asimd sve bf16 i8mm", True), ("aarch64", "Features\t: fp asimd svebf16", False),
    ("aarch64", "", False), ("x86_64", "Features : bf16", False),
])
def test_arm_says_whether_it_multiplies_bfloat16(make, machine: str, features: str, there: bool) -> None:
    root = make(1, {"proc/cpuinfo": f"processor\t: 0\n{features}\nCPU part\t: 0xd40"})
    assert arm_has_bfloat16(root, machine) == there
