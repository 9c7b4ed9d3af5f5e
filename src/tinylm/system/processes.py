"""Programs that outlive the one that started them, and how they are found again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

CLOCK_TOLERANCE = 1.0
"""Seconds by which the start of one process may seem to move: some systems count from a boot time that they adjust."""
POLL_SECONDS = 0.05
NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Windows would open a console for a child of a program that has none."""
APART = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | NO_WINDOW
"""On Windows, where there are no sessions: a group that no Ctrl-C reaches, and no console that could be closed."""


class Process(NamedTuple):
    """A process, told from a later one with the same number by its start.

    Attributes:
        pid: its number.
        started: seconds since the epoch.
    """

    pid: int
    started: float


def tinylm_command(*words: str) -> list[str]:
    """The command of this very tinylm for another process. Nothing is imported from the working folder (-P)."""
    return [sys.executable, "-P", "-m", "tinylm", *words]


def start_apart(command: Sequence[str], log: Path) -> Process:
    """Starts a program that goes on when this one ends, and that a Ctrl-C of this terminal does not reach.

    Args:
        log: gets its output and its errors, in UTF-8; what was there is replaced.

    Raises:
        OSError: it cannot be started.
    """
    with open(log, "wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 start_new_session=os.name != "nt", creationflags=APART,
                                 env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    _children.append(child)
    try:
        return Process(child.pid, psutil.Process(child.pid).create_time())
    except psutil.NoSuchProcess:  # it has ended already
        return Process(child.pid, 0.0)


_children: list[subprocess.Popen[bytes]] = []
"""Programs that this process has to be asked about, lest they stay in the system's table when they have ended."""


def is_alive(process: Process) -> bool:
    """True while the process runs."""
    return _found(process) is not None


def terminate(process: Process) -> None:
    """Ends a process: by SIGTERM, at which tinylm removes what is half made; on Windows at once."""
    if found := _found(process):
        with suppress(psutil.Error):
            found.terminate()


def wait_for_end(process: Process, seconds: float) -> bool:
    """Waits until a process has ended. Returns False if it still runs after so many seconds."""
    deadline = time.monotonic() + seconds
    while is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _found(process: Process) -> psutil.Process | None:
    for child in [*_children]:
        if child.poll() is not None:
            _children.remove(child)
    with suppress(psutil.Error):
        found = psutil.Process(process.pid)
        is_same = abs(found.create_time() - process.started) < CLOCK_TOLERANCE
        if is_same and found.status() != psutil.STATUS_ZOMBIE:
            return found
    return None
