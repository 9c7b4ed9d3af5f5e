"""Commands run in this very process, and one model for all of them to ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tinylm.cli import main


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


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ids go to a folder of the tests, also those of the commands that run in another process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYLM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def tinylm(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command: `tinylm("predict", folder, "how are", "--json")`."""
    def run(*arguments: object) -> Said:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Said(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def hello(tmp_path_factory: pytest.TempPathFactory, _own_cache: None) -> Path:
    """The notebook's model, trained by the command itself."""
    folder = tmp_path_factory.mktemp("runs") / "hello"
    run_elsewhere("train", "hello", "--preset", "notebook", "--out", folder)
    return folder


def run_elsewhere(*arguments: object) -> str:
    """Runs a command in a process of its own, which must succeed. Returns what it printed."""
    done = subprocess.run([sys.executable, "-m", "tinylm", *map(str, arguments)], capture_output=True, text=True,
                          check=False, timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout
