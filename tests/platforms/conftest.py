"""What the tests under Windows' rules share: commands in processes that keep the rules."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.prefork import Prefork

if sys.platform != "linux":
    pytest.skip("the rules look into /proc", allow_module_level=True)

from . import windows_rules

ENCODING = "cp1252"
"""Of Windows' pipes."""
OPTIONS = ["--tokenizer", "char", *(part for setting in (
    "model.d_model=16", "model.n_layers=1", "model.n_heads=2", "model.context_length=16", "train.batch_size=4",
    "train.evaluate_every=15") for part in ("--set", setting))]


class Windows:
    """Commands as Windows would run them."""

    def __init__(self, folder: Path) -> None:
        self._rules = windows_rules.environment(folder, ENCODING)
        self.prefork = Prefork(folder, self._rules, ENCODING)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """A command in a process of its own."""
        return subprocess.Popen([sys.executable, "-m", "tinylm", *map(str, arguments)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding=ENCODING, env=self._rules)

    def tinylm(self, *arguments: object) -> str:
        """What a command prints that must succeed."""
        code, said = self.prefork.run("command", *map(str, arguments))
        assert (code, "Traceback" in said) == (0, False), (arguments, said)
        return said

    def train(self, text: Path, out: Path, *options: object) -> str:
        return self.tinylm("train", text, "--out", out, *OPTIONS, *options)


@pytest.fixture(scope="session")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Windows]:
    windows = Windows(tmp_path_factory.mktemp("windows"))
    with windows.prefork:
        yield windows


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules, in the process of the test."""
    monkeypatch.setenv(windows_rules.MARK, str(os.getpid()))
    for change in windows_rules.changes():
        monkeypatch.setattr(*change)


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 4 KB with characters that cp1252 has and characters that it lacks."""
    path = tmp_path_factory.mktemp("texts") / "bottles.txt"
    path.write_text("".join(f"{n} Flaschen grünes Bier → {n * n} бутылок.\n" for n in range(90)), encoding="utf-8")
    return path
