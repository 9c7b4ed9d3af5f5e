"""A program: what `tinylm serve` listens on with each of some options, asked of the system.

    python hosts.py FOLDER OPTIONS

OPTIONS is a JSON list of lists. Prints one JSON list: for each the exit code (null: it serves), the addresses on which
it listens, and what it wrote to standard error. Libraries are imported once; the command runs in a fork for each.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import tempfile
from typing import Any

import psutil
import uvicorn  # noqa: F401

import tinylm
from tinylm.cli import main

PATIENCE = 60


def tried(folder: str, options: list[str]) -> dict[str, Any]:
    ours, theirs = os.pipe()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        if not (pid := os.fork()):
            os.close(ours)
            os.dup2(theirs, 1)
            os.dup2(errors.fileno(), 2)
            sys.argv[1:] = ["serve", folder, "--port", "0", "--json", *options]
            os._exit(main())
        os.close(theirs)
        listens = _listens(pid, ours)
        os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        errors.seek(0)
        return {"code": None if code == -signal.SIGKILL else code, "listens": listens, "said": errors.read()}


def _listens(pid: int, pipe: int) -> list[str]:
    """The addresses of a child that has said that it is ready; none of one that has ended."""
    with os.fdopen(pipe) as ready:
        if not select.select([ready], [], [], PATIENCE)[0] or not ready.readline():
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            return []
        return [each.laddr.ip for each in psutil.Process(pid).net_connections() if each.status == psutil.CONN_LISTEN]


if __name__ == "__main__":
    tinylm.load(sys.argv[1]).generate(max_tokens=2)  # what is compiled is then there for all of them
    print(json.dumps([tried(sys.argv[1], options) for options in json.loads(sys.argv[2])]))
