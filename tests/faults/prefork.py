"""Children that begin at once: a process that has imported torch forks one for each piece of work.

Run as a script this is that process. It reads requests from its standard input, a line of JSON each, and answers each
with a line.
"""

from __future__ import annotations

import faulthandler
import gc
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch

from tinylm.training.checkpoint import Checkpoints, State

DEADLINE = 250
"""Seconds after which a child that has not ended is ended, and the test that waits for it fails."""
SHORTEST = 0.05
"""Seconds between two saves of a training child: lives can be short then, and still leave something."""


def state(step: int, size: int = 12) -> State:
    """A moment of a run, every number of which depends on the step."""
    def tensors(n: int) -> dict[str, torch.Tensor]:
        return {"a": torch.randn(size, generator=torch.Generator().manual_seed(n)), "b": torch.arange(5.0) + n}

    return State({"weights": tensors(step), "moments": {"step.a": torch.tensor(float(step))},
                  "best": tensors(step - 1)}, {"step": step, "size": size})


def same(one: State, other: State) -> bool:
    return (one.numbers == other.numbers and one.tensors.keys() == other.tensors.keys()
            and all(torch.equal(one.tensors[file][name], other.tensors[file][name])
                    for file in other.tensors for name in other.tensors[file]))


# ---- what children do


def command(*arguments: str) -> int:
    """The program, as a shell starts it."""
    from tinylm.cli import main
    from tinylm.runs import recorder

    recorder.MIN_SAVE_INTERVAL, recorder.SAVING_SHARE = SHORTEST, 1.0
    sys.argv[1:] = arguments
    return main()


def save(folder: str, step: int) -> int:
    """One save, and no more than that. Returns 2 when it was told of a fault."""
    from tinylm.errors import TinyLMError

    try:
        Checkpoints(Path(folder)).save(state(step))
    except TinyLMError as error:
        print(error, flush=True)
        os._exit(2)
    os._exit(0)


def save_for_ever(folder: str, size: int) -> int:
    """Goes on from the newest checkpoint. Prints the number of each step that is safe."""
    checkpoints = Checkpoints(Path(folder))
    first = checkpoints.load()[0].numbers["step"] + 1
    for step in itertools.count(first):
        checkpoints.save(state(step, size))
        os.write(1, f"{step}\n".encode())
    raise AssertionError


WORK = {work.__name__: work for work in (command, save, save_for_ever)}


# ---- the process that forks


def _serve() -> None:
    import tinylm.cli.train
    import tinylm.runs.run  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        Checkpoints(Path(folder)).save(state(1))  # what libraries open at their first use is no part of a child's work
    gc.freeze()  # children need not look for garbage here, and copy every page by doing so
    print("ready", flush=True)
    while line := sys.stdin.readline():
        request = json.loads(line)
        answer = _first_to_end(request["wait"]) if "wait" in request else _fork(request)
        os.write(1, f"{json.dumps(answer)}\n".encode())


def _fork(request: dict) -> int:
    if pid := os.fork():
        if request["stopped"]:
            os.waitpid(pid, os.WUNTRACED)
        return pid
    for descriptor, path, flags in ((0, os.devnull, os.O_RDONLY),
                                    (1, request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):
        os.dup2(os.open(path, flags, 0o644), descriptor)
    os.dup2(1, 2)
    signal.alarm(DEADLINE)
    faulthandler.register(signal.SIGUSR1)
    if request["stopped"]:
        os.kill(os.getpid(), signal.SIGSTOP)
    sys.exit(WORK[request["work"]](*request["arguments"]))


def _first_to_end(pids: list[int]) -> tuple[int, int]:
    while True:
        for pid in pids:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return pid, os.waitstatus_to_exitcode(status)
        time.sleep(0.002)


class Child:
    """A process that does one piece of work."""

    def __init__(self, prefork: Prefork, pid: int, output: Path) -> None:
        self.prefork, self.pid, self.output = prefork, pid, output

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def stuck(self) -> str:
        """What it has said, and after it where each of its threads stands."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGUSR1)
            time.sleep(1)
        return self.said

    def wait(self) -> int:
        """Its exit code; minus the number of the signal that ended it."""
        return self.prefork.first_to_end(self)[1]

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.output.read_text(encoding=self.prefork.encoding)


class Prefork:
    """Starts children. A context manager."""

    def __init__(self, folder: Path, environment: Mapping[str, str] = os.environ, encoding: str = "utf-8") -> None:
        self.folder = folder
        """Where they print to."""
        self.encoding = encoding
        self._environment = {**environment, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
        self._count = itertools.count()

    def __enter__(self) -> Prefork:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True, env=self._environment, cwd=self.folder)
        assert self._answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, work: str, *arguments: object, stopped: bool = False) -> Child:
        """
        Args:
            stopped: it waits for SIGCONT before it begins.
        """
        output = self.folder / f"{next(self._count)}.txt"
        output.touch()
        pid = self._ask({"work": work, "arguments": [each if isinstance(each, int) else str(each)
                                                     for each in arguments],
                         "output": str(output), "stopped": stopped})
        return Child(self, pid, output)

    def run(self, work: str, *arguments: object) -> tuple[int, str]:
        """Its exit code, and what it printed."""
        child = self.start(work, *arguments)
        return child.wait(), child.said

    def first_to_end(self, *children: Child) -> tuple[Child, int]:
        pid, code = self._ask({"wait": [child.pid for child in children]})
        return next(child for child in children if child.pid == pid), code

    def _ask(self, request: dict) -> object:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._answer())
        except BaseException:  # a test that ran out of time: its answer is not the next one's
            self._process.kill()
            self.__exit__()
            self.__enter__()
            raise

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


if __name__ == "__main__":
    _serve()
