"""Commands take the name of a built-in model where they take a model folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Command

OPENING = Path(__file__).parents[1] / "fixtures" / "pride-and-prejudice-opening.txt"


@pytest.mark.parametrize("words", [
    ("generate", "english", "I was", "--max-tokens", "5", "--seed", "1"), ("predict", "english", "I was"),
    ("tokenize", "english", "I was"), ("inspect", "english"), ("evaluate", "english", OPENING),
])
def test_a_command_takes_its_name(tinylm: Command, words: tuple[object, ...]) -> None:
    said = tinylm(*words, "--json")
    assert said.json, words[0]


def test_what_it_has_not(tinylm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its training text and its records stay behind: a message says so, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    said = tinylm("evaluate", "english")
    assert (said.code, said.out) == (2, "")
    assert "the text that it was trained on is not known" in said.err
    said = tinylm("report", "english")
    assert (said.code, said.out) == (2, "")
    assert "built-in model" in said.err
    assert list(tmp_path.iterdir()) == []
