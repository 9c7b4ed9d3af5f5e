"""Exercises whose answer is a model folder: the right folder passes, each known wrong one gives its hint."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import tinylm
from tests.learn.texts import zen
from tinylm.cli import main
from tinylm.learn.exercise import RunExercise
from tinylm.learn.exercises import EXERCISES

pytestmark = pytest.mark.xdist_group("run exercises")


def test_a_folder_of_the_notebooks_model(hello_run: Path, animals_run: Path) -> None:
    verdict = tinylm.learn.check("0.1", hello_run)
    assert verdict
    assert "of 26 tokens" in verdict.message
    assert "another text" in tinylm.learn.check("0.1", animals_run).message


def test_a_folder_that_has_hardly_learned(tmp_path: Path) -> None:
    lm = tinylm.train("hello", preset="notebook", epochs=2, out=tmp_path / "run", quiet=True)
    assert "hardly learned" in tinylm.learn.check("0.1", lm).message


def test_a_model_that_peeks(peek_run: Path, animals_run: Path, hello_run: Path, tmp_path: Path) -> None:
    verdict = tinylm.learn.check("6.2", peek_run)
    assert verdict
    assert "0.1831 is the lowest" in verdict.message
    assert "was not trained on `animals`" in tinylm.learn.check("6.2", hello_run).message
    assert "has its mask" in tinylm.learn.check("6.2", animals_run).message
    lm = tinylm.train("animals", preset="notebook", epochs=2, out=tmp_path / "run", quiet=True,
                      config={"model": {"causal": False}})
    assert "train it longer" in tinylm.learn.check("6.2", lm).message


def test_a_model_that_needs_its_heads(peek_run: Path, animals_run: Path, hello_run: Path, tmp_path: Path) -> None:
    verdict = tinylm.learn.check("10.2", animals_run)
    assert verdict
    assert "cannot be below 0.3662" in verdict.message
    assert "was not trained on `animals`" in tinylm.learn.check("10.2", hello_run).message
    assert "has no mask" in tinylm.learn.check("10.2", peek_run).message
    lm = tinylm.train("animals", preset="notebook", epochs=2, out=tmp_path / "run", quiet=True)
    assert "within 0.02" in tinylm.learn.check("10.2", lm).message


@pytest.mark.usefixtures("_zen")
def test_overfitting_and_its_remedy(capsys: pytest.CaptureFixture[str], hello_run: Path, animals_run: Path,
                                     book_run: Path) -> None:
    unrecorded = tinylm.load(hello_run)
    unrecorded.folder = None  # such as a model that was imported has no records of a training
    for number in ("8.1", "8.2"):
        exercise = EXERCISES[number]
        assert isinstance(exercise, RunExercise)
        for command in exercise.commands:
            if command.startswith("tinylm "):
                assert main(shlex.split(command)[1:]) == 0, command
        assert "\nRight." in capsys.readouterr().out, number
        assert "Nothing was held out" in tinylm.learn.check(number, hello_run).message
        assert "Nothing was held out" in tinylm.learn.check(number, unrecorded).message
    assert "has not risen" in tinylm.learn.check("8.1", "runs/mended").message
    assert "still rises" in tinylm.learn.check("8.2", "runs/by-heart").message
    assert "Counting is still better" in tinylm.learn.check("12.3", book_run).message
    assert "one of the lesson's texts" in tinylm.learn.check("12.3", animals_run).message


@pytest.fixture
def _zen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zen.txt").write_text(zen(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
