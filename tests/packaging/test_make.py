"""make.py and the Makefile make the same targets, and .venv is made anew where it is older than what it comes from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import make

ROOT = Path(__file__).parents[2]


def test_the_makefile_hands_each_target_on() -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.search(r"^TARGETS := (.*)$", rules, re.MULTILINE)
    assert named is not None
    assert named[1].split() == list(make.TARGETS)
    assert re.findall(r"^\t(.*)$", rules, re.MULTILINE) == ["@$(PYTHON) make.py $@"], "nothing is done by make alone"


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize("target", make.TARGETS)
def test_make_calls_the_script(target: str) -> None:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    said = subprocess.run(["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True,
                          check=True, env=outside)
    assert said.stdout == f"python3 make.py {target}\n"


@pytest.mark.parametrize("arguments", [[], ["tset"], ["demo", "test"]])
def test_a_target_that_there_is_not_is_answered_with_those_that_there_are(arguments: list[str]) -> None:
    command = [sys.executable, "make.py", *arguments]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert re.findall(r"^  ([\w-]+)", said.stdout, re.MULTILINE) == list(make.TARGETS)


def test_every_program_comes_with_the_layer_that_runs_it() -> None:
    layers = [name for name, _, _ in make.layers()]
    for name, target in make.TARGETS.items():
        assert target.layer in layers or not target.programs, name
        tools = {program for program, *_ in target.programs} - {"tinylm", "python"}
        assert not tools or target.layer == layers[-1], f"{name} runs {tools}"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What pip is asked for, in a folder of its own that has a .venv with nothing in it."""
    asked: list[str] = []
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / ".venv").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(make, "run", lambda *words: asked.append(words[-1]))
    return asked


def test_layers_are_installed_once_and_again_after_a_change(installed: list[str]) -> None:
    make.install("installed")
    assert [word.partition("==")[0] for word in installed] == ["torch", ".[serve,report,formats]"]
    make.install("installed")
    assert len(installed) == 2
    make.install("tested-with")
    assert installed[2:] == [".[test]"]
    os.utime("pyproject.toml")
    make.install("tested-with")
    assert installed[3:] == [".[serve,report,formats]", ".[test]"], "torch comes from constraints.txt alone"
    os.utime("constraints.txt", (os.path.getmtime("pyproject.toml") + 9,) * 2)
    make.install("tested-with")
    assert len(installed) == 8, "what stands on torch is made anew with it"


def test_a_program_that_fails_ends_the_target_with_its_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs = (("python", "-c", "raise SystemExit(3)"), ("python", "-c", f"open({str(tmp_path / 'x')!r}, 'w')"))
    monkeypatch.setattr(make, "TARGETS", {"both": make.Target("", "", programs)})
    monkeypatch.setattr(make, "install", lambda _layer: None)
    monkeypatch.setattr(make, "BIN", Path(sys.executable).parent)
    monkeypatch.setattr(make.signal, "signal", lambda *_: None)
    monkeypatch.chdir(ROOT)
    assert make.main(["both"]) == 3
    assert not list(tmp_path.iterdir()), "the next one did not run"
