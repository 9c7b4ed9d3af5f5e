"""Commands that the README tells people to type work, and its transcripts are what they print."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import make

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
CUT = "..."


def steps() -> list[tuple[str, list[str]]]:
    """Commands with the lines that are shown below them, and the Python blocks, in the order of the page."""
    found: list[tuple[str, list[str]]] = []
    for language, block in BLOCKS:
        if language == "python":
            found.append((block, []))
            continue
        assert language in ("console", "sh"), f"a block of {language!r} is not tested"
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def masked(line: str) -> str:
    """A line without what differs between machines: figures and widths."""
    return " ".join(re.sub(r"█+", "█", re.sub(r"\d[\d,.]*\d|\d", "#", line)).split())


def shows(output: str, line: str) -> bool:
    """True if a line of the page, or the beginning of one that is cut at its end, is in the output."""
    begun = masked(line.removesuffix(CUT))
    printed = map(masked, output.splitlines())
    if line.endswith(CUT):  # a text that the model wrote: only the first word is sure to be the same
        return any(out.startswith(begun.split()[0]) for out in printed) if begun else True
    return begun in printed


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def environment(place):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "TINYLM_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1",
            "COLUMNS": "200", "PYTHONUTF8": "1"}


@contextlib.contextmanager
def in_background(command, shown, place, environment):
    """A server, which has printed what is shown when this begins; afterwards it is stopped."""
    process = subprocess.Popen(command.removesuffix("&").split(), cwd=place, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, encoding="utf-8", start_new_session=True)
    with process:
        try:
            for line in shown:
                assert line == CUT or shows(process.stdout.readline(), line), f"$ {command} does not print {line}"
            yield
        finally:
            process.terminate()


@pytest.mark.needs_posix
def test_every_command_works_and_prints_what_is_shown(place, environment):
    with contextlib.ExitStack() as background:
        check(place, environment, background)


def check(place, environment, background):
    for command, shown in steps():
        if command.startswith("make "):
            continue
        if command.endswith("&"):
            background.enter_context(in_background(command, shown, place, environment))
            continue
        is_python = command.startswith("import ")
        what = [sys.executable, "-W", "error", "-c", command] if is_python else ["sh", "-c", command]
        ended = subprocess.run(what, cwd=place, env=environment, capture_output=True, text=True, encoding="utf-8",
                               timeout=200, check=False)
        assert ended.returncode == 0, f"$ {command}\n{ended.stdout}\n{ended.stderr}"
        missing = [line for line in shown if not shows(ended.stdout, line)]
        assert not missing, f"$ {command}\ndoes not print {missing}, but\n{ended.stdout}"


def test_the_targets_of_make_are_there():
    named = re.findall(r"^(?:\$ |    )make ([\w-]+)$", README, re.MULTILINE)
    assert named[:2] == ["demo", "test"], "the two commands of a fresh clone come first"
    assert set(named) <= set(make.TARGETS)


def test_every_command_of_the_command_line_is_in_the_table():
    from tinylm.cli import COMMANDS

    assert re.findall(r"^\| `tinylm (\w+)", README, re.MULTILINE) == list(COMMANDS)


def test_every_size_and_preset_is_named():
    from tinylm.config.presets import PRESETS, SIZES

    choices = README.split("## How to choose")[1]
    assert f"{', '.join(SIZES)}," in choices
    assert all(f"`{name}`" in choices for name in PRESETS)
