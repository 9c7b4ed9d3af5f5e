"""Commands run in this very process, and one model for all of them to ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tinylm.cli import main

if TYPE_CHECKING:
    from .terminal import Terminal


class Said(NamedTuple):
    """What a command left: its exit code and its two streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON object on one line and nothing else."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture
def tinylm(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command: `tinylm("predict", folder, "how are", "--json")`."""
    def run(*arguments: object) -> Said:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Said(code, *capfd.readouterr())

    return run


@pytest.fixture
def chat() -> Iterator[Callable[..., Terminal]]:
    """Starts `tinylm chat` in a terminal."""
    from .terminal import Terminal

    opened: list[Terminal] = []

    def start(*arguments: object) -> Terminal:
        opened.append(Terminal(*arguments))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


@pytest.fixture(scope="session")
def hello(hello_run: Path) -> Path:
    """The notebook's model. Not to be changed: copy it."""
    return hello_run


def run_elsewhere(*arguments: object) -> str:
    """Runs a command in a process of its own, 80 columns wide, which must succeed. Returns what it printed."""
    done = subprocess.run([sys.executable, "-m", "tinylm", *map(str, arguments)], capture_output=True, text=True,
                          check=False, timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    return done.stdout
