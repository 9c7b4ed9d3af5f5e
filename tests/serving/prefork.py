"""Servers that begin at once: a process that has imported all that a server needs forks one for each request.

Run as a script this is that process. It reads requests from its standard input, a line of JSON each, and answers each
with a line. When its input ends, it ends whatever it has started.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

MODEL = Path(__file__).parents[1] / "fixtures" / "models" / "0.1.0" / "char"
"""One to compile with, or to load what is compiled already."""


# ---- the process


def _work() -> None:
    import tinylm
    import tinylm.cli.serve
    import tinylm.serving.server

    tinylm.load(MODEL).generate(max_tokens=2)
    children: dict[int, int | None] = {}
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "ask" in request:
            pid = request["ask"]
            if children[pid] is None:
                ended, status = os.waitpid(pid, os.WNOHANG)
                children[pid] = os.waitstatus_to_exitcode(status) if ended else None
            answer = children[pid]
        else:
            answer = _fork(**request)
            children[answer] = None
        os.write(1, f"{json.dumps(answer)}\n".encode())
    for pid, code in children.items():
        if code is None:
            os.kill(pid, signal.SIGKILL)


def _fork(arguments: list[str], environment: dict[str, str], output: str, errors: str) -> int:
    if pid := os.fork():
        return pid
    for descriptor, path, flags in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY), (2, errors, os.O_WRONLY)):
        os.dup2(os.open(path, flags | os.O_APPEND), descriptor)
    os.environ.update(environment)
    sys.argv[1:] = arguments
    code = 1
    try:
        from tinylm.cli import main

        code = main()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


# ---- for tests


class Prefork:
    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "TINYLM_API_KEY"}
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, env=environment)

    def ask(self, request: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@cache
def prefork() -> Prefork:
    """The one of this process, ended with it."""
    made = Prefork()
    atexit.register(made.close)
    return made


class Child:
    """A command of tinylm, as subprocess.Popen has it."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], output: Path, errors: Path) -> None:
        self.pid: int = prefork().ask({"arguments": arguments, "environment": dict(environment), "output": str(output),
                                       "errors": str(errors)})

    def poll(self) -> int | None:
        code: int | None = prefork().ask({"ask": self.pid})
        return code

    def wait(self, timeout: float) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("tinylm", timeout)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    _work()
