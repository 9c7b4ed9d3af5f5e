"""Limits of control groups, in made-up file systems: the smallest on the way to the root holds, in either version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinylm.system.cgroups import NO_LIMIT, cpu_quota, free_memory, memory_limit

GB = 10**9
SLURM = "0::/system.slice/slurmstepd.scope/job_7/step_0\n"
HOST_PATH = "5:cpu,cpuacct:/docker/8f3a\n4:memory:/docker/8f3a\n0::/\n"
HYBRID = "9:name=systemd:/\n4:memory:/batch/job\n1:cpu:/batch/job\n0::/user.slice\n"


@pytest.fixture
def make(tmp_path: Path):
    """Makes a root of the file system from the process's groups and from files below sys/fs/cgroup."""
    def made(groups: str, files: dict[str, str]) -> Path:
        for name, content in {"proc/self/cgroup": groups,
                              **{f"sys/fs/cgroup/{name}": content for name, content in files.items()}}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return made


@pytest.mark.parametrize(("groups", "files", "quota"), [
    ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
    ("0::/\n", {"cpu.max": "max 100000\n"}, None),
    ("0::/\n", {}, None),
    (SLURM, {"system.slice/slurmstepd.scope/job_7/cpu.max": "150000 100000\n",
             "system.slice/slurmstepd.scope/job_7/step_0/cpu.max": "max 100000\n"}, 1.5),
    (SLURM, {"system.slice/cpu.max": "100000 100000\n",
             "system.slice/slurmstepd.scope/job_7/step_0/cpu.max": "400000 100000\n"}, 1.0),
    (HOST_PATH, {"cpu,cpuacct/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 3.0),
    (HOST_PATH, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    (HYBRID, {"cpu/batch/cpu.cfs_quota_us": "50000\n", "cpu/batch/cpu.cfs_period_us": "100000\n",
              "unified/user.slice/cpu.max": "400000 100000\n"}, 0.5),
    ("0::/../outside\n", {"cpu.max": "200000 100000\n"}, 2.0),
    ("0::/\n", {"cpu.max": "what is this\n"}, None),
])
def test_the_quota_of_time(make, groups: str, files: dict[str, str], quota: float | None) -> None:
    assert cpu_quota(make(groups, files)) == quota


def second_version(folder: str, limit: str, used: int, idle: int = 0) -> dict[str, str]:
    return {f"{folder}memory.max": limit, f"{folder}memory.current": f"{used}\n",
            f"{folder}memory.stat": f"anon 5\ninactive_file {idle}\n"}


def first_version(folder: str, limit: int, used: int, idle: int = 0) -> dict[str, str]:
    return {f"{folder}memory.limit_in_bytes": f"{limit}\n", f"{folder}memory.usage_in_bytes": f"{used}\n",
            f"{folder}memory.stat": f"cache 5\ntotal_inactive_file {idle}\n"}


@pytest.mark.parametrize(("groups", "files", "limit", "free"), [
    ("0::/\n", second_version("", f"{4 * GB}\n", GB), 4 * GB, 3 * GB),
    ("0::/\n", second_version("", "max\n", GB), NO_LIMIT, NO_LIMIT),
    (SLURM, {**second_version("system.slice/slurmstepd.scope/job_7/", f"{8 * GB}\n", 3 * GB, idle=2 * GB),
             **second_version("system.slice/slurmstepd.scope/job_7/step_0/", "max\n", 3 * GB)}, 8 * GB, 7 * GB),
    (SLURM, {**second_version("system.slice/", f"{6 * GB}\n", 5 * GB),
             **second_version("system.slice/slurmstepd.scope/job_7/", f"{4 * GB}\n", GB)}, 4 * GB, GB),
    (HOST_PATH, first_version("memory/", 2 * GB, GB // 2, idle=GB // 4), 2 * GB, 2 * GB - GB // 4),
    (HYBRID, {**first_version("memory/", 2**63 - 4096, GB), **first_version("memory/batch/job/", 3 * GB, GB)},
     3 * GB, 2 * GB),
    ("0::/\n", second_version("", f"{GB}\n", GB // 2, idle=2 * GB), GB, GB),
], ids=["container", "no limit", "batch job", "two limits", "version 1, the host's path", "hybrid", "much idle"])
def test_memory(make, groups: str, files: dict[str, str], limit: int, free: int) -> None:
    root = make(groups, files)
    assert (memory_limit(root), free_memory(root)) == (limit, free)


def test_where_there_are_no_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert (cpu_quota(tmp_path), memory_limit(tmp_path), free_memory(tmp_path)) == (None, NO_LIMIT, NO_LIMIT)
