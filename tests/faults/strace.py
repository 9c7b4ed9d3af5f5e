"""Faults between a process and its kernel, made by strace: https://strace.io (its manual, "Tampering")."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from .prefork import Child

CHANGES = ["open", "openat", "creat", "write", "pwrite64", "writev", "fsync", "fdatasync", "rename", "renameat",
           "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "link", "linkat", "truncate", "ftruncate",
           "chmod", "fchmod", "fchmodat"]
"""System calls by which files change."""


def _works() -> bool:
    if sys.platform != "linux" or not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


needs_strace = pytest.mark.skipif(not _works(), reason="needs Linux, strace, and the right to use it")


def let_go_under_strace(child: Child, *options: str) -> subprocess.Popen[str]:
    """A child that waits to begin does so, watched by strace. Returns that of strace: it ends with the child."""
    tracer = subprocess.Popen(["strace", "-p", str(child.pid), *options], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr
    assert "attached" in tracer.stderr.readline()
    child.signal(signal.SIGCONT)
    return tracer


def run_under_strace(child: Child, *options: str) -> int:
    """The child's exit code."""
    with let_go_under_strace(child, *options) as tracer:
        code = child.wait()
        tracer.communicate()
    return code


def count_calls(child: Child, log: Path, calls: list[str] | None = None) -> Counter[str]:
    """How often the child makes each of some system calls; None: of all."""
    code = run_under_strace(child, "-o", str(log), "-e", f"trace={names(calls) if calls else 'all'}")
    assert code == 0, child.said
    return Counter(re.findall(r"^(\w+)\(", log.read_text(), re.MULTILINE))


def names(calls: list[str]) -> str:
    """For strace; those that this machine does not have are left out."""
    return ",".join(f"?{name}" for name in calls)


def inject(call: str, number: int, fault: str) -> tuple[str, ...]:
    """Options: the `number`-th such call of the process meets a fault ("signal=KILL", "error=EIO")."""
    return "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={number}"
