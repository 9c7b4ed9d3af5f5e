"""The page on looking inside shows what the command prints, and names the keys of its JSON."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.docs.test_names import table
from tests.docs.test_readme import shows
from tinylm.cli import main
from tinylm.reports.explain_sections import SECTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "EXPLAIN.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n\$ tinylm (.*)\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def _place(tmp_path, monkeypatch, hello_run):
    shutil.copytree(hello_run, tmp_path / "runs" / "notebook")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.usefixtures("_place")
@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_the_command_prints_what_is_shown(command, shown, capsys):
    assert main(shlex.split(command)) == 0
    printed = capsys.readouterr().out
    missing = [line for line in shown.splitlines() if not shows(printed, line)]
    assert not missing, f"{command} does not print {missing}, but\n{printed}"


@pytest.mark.usefixtures("_place")
def test_the_python_works(capsys):
    block, = PYTHON
    exec(compile(block, "docs/EXPLAIN.md", "exec"), {})
    assert "\nyour\n" in capsys.readouterr().out


def test_every_section_has_its_row():
    assert [row[0].strip("`") for row in table(PAGE, "For programs")] == list(SECTIONS)
