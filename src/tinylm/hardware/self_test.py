"""The self-test of this machine: every path in a process of its own, so that code which ends it is found out, too."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from tinylm.hardware import paths
from tinylm.hardware.paths import NAMES, PathResult, self_test_of
from tinylm.jit.self_test import no_result

MAX_SECONDS = 300.0
"""Duration after which a path is taken to hang. Its code may have to be compiled first."""


def check_paths(names: Sequence[str] = NAMES, *, log: Callable[[str], None] = lambda _: None) -> list[PathResult]:
    """Tests and times paths, in some five seconds where their code is compiled. The verdicts hold from now on, for this
    program and for later ones.

    Args:
        names: of the paths.
        log: gets the name of each path before its turn.
    """
    results: list[PathResult] = []
    while missing := names[len(results):]:
        found, ending = _run_child(missing, log)
        results += found
        if ending:
            results.append(PathResult(names[len(results)], no_result(ending), 0.0, 0.0, ""))
    for result in results:
        if test := self_test_of(result.name):
            test.keep(result.verdict)
    return results


def _run_child(names: Sequence[str], log: Callable[[str], None]) -> tuple[list[PathResult], str]:
    """Tests paths in a process. Returns the results, and how the process ended if that was before the last of them."""
    command = [sys.executable, "-m", paths.__name__, *names]
    results: list[PathResult] = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          encoding="utf-8", errors="replace",
                          creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            for name in names:
                log(name)
                line, hangs = _next_line(child)
                if hangs:
                    return results, f"it did not end within {MAX_SECONDS:.0f} seconds"
                if not line:
                    break
                results.append(PathResult.from_json(line))
            said = child.stderr.read().strip().splitlines()[-1:]
        finally:
            child.kill()
    return results, "" if len(results) == len(names) else _ending(child.wait(), said)


def _next_line(child: subprocess.Popen[str]) -> tuple[str, bool]:
    """The next line of a process, and whether it was ended because none came."""
    assert child.stdout is not None
    hangs = threading.Event()

    def end() -> None:
        hangs.set()
        child.kill()

    timer = threading.Timer(MAX_SECONDS, end)
    timer.start()
    try:
        return child.stdout.readline(), hangs.is_set()
    finally:
        timer.cancel()


def _ending(code: int, said: Sequence[str]) -> str:
    """The end of a process in words: the signal that ended it, or the last line of what it said."""
    if code < 0:
        with suppress(ValueError):
            return f"its process was ended by {signal.Signals(-code).name}"
    return said[0] if said else f"its process ended with exit code {code:#x}"


