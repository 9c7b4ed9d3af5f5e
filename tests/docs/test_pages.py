"""Pages for people hold their form: the lab notebook's lines, the records' best figures, the version, the lint hook."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml

import tinylm

ROOT = Path(__file__).parents[2]
LONGEST_LINE = 150
FIGURE = re.compile(r"\d[\d,.]*\d|\d")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_lines_of_the_lab_notebook_fit_on_a_screen():
    too_long = [number for number, line in enumerate(read("LOG.md").splitlines(), 1) if len(line) > LONGEST_LINE]
    assert not too_long, f"LOG.md: lines of more than {LONGEST_LINE} characters: {too_long}"


def test_every_best_figure_is_in_the_history_of_the_records():
    best, history = read("RECORDS.md").split("\n## History\n")
    measured = set(FIGURE.findall(history))
    rows = [line.split("|") for line in best.splitlines() if re.match(r"\| (?!target)\w|\| `", line)]
    assert len(rows) > 20
    for row in rows:
        missing = set(FIGURE.findall(row[2])) - measured
        assert not missing, f"{row[1].strip()}: {missing}"


def test_the_version_has_one_source():
    project = tomllib.loads(read("pyproject.toml"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "tinylm.__version__"}
    assert version("tinylm") == tinylm.__version__
    newest = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == tinylm.__version__


def test_the_hook_before_a_commit_runs_what_make_lint_runs_and_fetches_nothing():
    repositories = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert [each["repo"] for each in repositories] == ["local"]
    hooks = repositories[0]["hooks"]
    told = [(hook["entry"], hook["language"], hook["pass_filenames"]) for hook in hooks]
    assert told == [("make lint", "system", False)]
