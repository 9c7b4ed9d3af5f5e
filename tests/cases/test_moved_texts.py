"""A text that has moved or changed since a model began to learn it: new places are remembered, remedies are true."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

import tinylm as library
from tests.cases.recipes import book
from tests.cli.conftest import Command, Said
from tinylm import model_folder
from tinylm.errors import TinyLMError, sentences


class Trained(NamedTuple):
    """A place with a text, a text to validate on, and models of them."""

    place: Path
    text: Path
    run: Path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with book.txt, held.txt and the models run (a share is held out) and beside (held.txt validates)."""
    place = tmp_path_factory.mktemp("original")
    (place / "book.txt").write_text(book(6000))
    (place / "held.txt").write_text(book(2000, seed=5))
    config = {"model": {"context_length": 16}, "train": {"batch_size": 4}}
    for name, validation in (("run", 0.1), ("beside", str(place / "held.txt"))):
        library.train(place / "book.txt", out=place / name, size="0.1M", tokenizer="char", steps=3, quiet=True,
                      validation=validation, config=config)
    return place


@pytest.fixture
def trained(original: Path, tmp_path: Path) -> Trained:
    """A copy of the models, whose texts lie in a folder `old`."""
    place = tmp_path / "old"
    shutil.copytree(original, place)
    for run in ("run", "beside"):
        values = json.loads((place / run / "config.json").read_text())
        values["data"].update({name: path.replace(str(original), str(place))
                               for name, path in values["data"].items() if isinstance(path, str)})
        (place / run / "config.json").write_text(json.dumps(values))
    return Trained(place, place / "book.txt", place / "run")


def move(text: Path) -> Path:
    """Moves a text into a folder of its own. Returns its new place."""
    new = text.parent.parent / "new" / text.name
    new.parent.mkdir(exist_ok=True)
    return text.rename(new)


def assert_sentences(said: Said, *facts: str) -> None:
    assert (said.code, said.err.count("\n")) == (2, 1), said
    assert not re.search(r"[?.!:]\.|\. \.|\?,", said.err), said.err
    for fact in facts:
        assert fact in said.err, said.err


def source_of(run: Path) -> str:
    return model_folder.read_config(run).data.source


# ---- the new place is remembered


def test_case_50_the_new_place_is_remembered(trained: Trained, tinylm: Command) -> None:
    new = move(trained.text)
    told = tinylm("train", new, "--resume", "--out", trained.run, "--steps", 5)
    assert told.code == 0, told.err
    assert f"source: {new} instead of {trained.text}" in told.out.replace("\n", "")
    assert source_of(trained.run) == str(new)
    assert tinylm("evaluate", trained.run, "--json").json["split"] == "validation"
    assert tinylm("train", "--resume", "--out", trained.run, "--steps", 6, "--json").json["step"] == 6


def test_a_relative_place_holds_from_everywhere(trained: Trained, tinylm: Command, tmp_path: Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    new = move(trained.text)
    monkeypatch.chdir(new.parent)
    assert tinylm("train", new.name, "--resume", "--out", trained.run).code == 0
    monkeypatch.chdir(tmp_path)
    assert source_of(trained.run) == str(new)
    assert tinylm("evaluate", trained.run).code == 0


def test_a_text_to_validate_on_may_move_as_well(trained: Trained, tinylm: Command, monkeypatch: pytest.MonkeyPatch,
                                               ) -> None:
    run, held = trained.place / "beside", trained.place / "held.txt"
    new = move(held)
    assert_sentences(tinylm("evaluate", run), str(held), "--validation FILE")
    assert_sentences(tinylm("train", "--resume", "--out", run), str(held),
                     f"tinylm train --validation FILE --resume --out {run}\n")
    monkeypatch.chdir(new.parent)
    assert tinylm("train", "--resume", "--out", run, "--validation", new.name).code == 0
    assert model_folder.read_config(run).data.validation == str(new)
    assert tinylm("evaluate", run, "--json").json["split"] == "validation"
    new.write_text(book(2000, seed=6))
    assert_sentences(tinylm("train", "--resume", "--out", run), str(new), "has changed since")
    assert_sentences(tinylm("train", "--resume", "--out", run, "--validation", trained.text), "not the text")
    assert_sentences(tinylm("train", "--resume", "--out", run, "--validation", "0.2"), "--force")


def test_standard_input_is_no_new_place(trained: Trained, tinylm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(trained.text) as text:
        monkeypatch.setattr("sys.stdin", text)
        assert tinylm("train", "-", "--resume", "--out", trained.run).code == 0
    assert source_of(trained.run) == str(trained.text)


# ---- the advice


def test_case_51_advice_is_whole_sentences_and_works(trained: Trained, tinylm: Command) -> None:
    new = move(trained.text)
    (trained.place / "boook.txt").write_text("something near")
    failed = ("train", "--resume", "--out", trained.run)
    said = tinylm(*failed)
    assert_sentences(said, str(trained.text), "the text of this model is not there. Did you mean", "elsewhere now")
    _, _, advice = said.err.rstrip("\n").rpartition("now: ")
    words = shlex.split(advice)
    assert words[1:] == ["train", "SOURCE", *map(str, failed[1:])]
    assert tinylm(*(str(new) if word == "SOURCE" else word for word in words[1:])).code == 0


def test_evaluate_without_the_text_says_how_to_go_on(trained: Trained, tinylm: Command) -> None:
    new = move(trained.text)
    run = trained.run
    assert_sentences(tinylm("evaluate", run), f"(tinylm evaluate {run} SOURCE)",
                     f"tinylm train SOURCE --resume --out {run}\n")
    found = tinylm("evaluate", run, new)
    assert found.code == 0
    assert "is not there any more" in found.out
    shutil.rmtree(run / "checkpoints")
    assert_sentences(tinylm("evaluate", run), f"Evaluate the model on another text: tinylm evaluate {run} SOURCE\n")
    assert_sentences(tinylm("train", "--resume", "--out", run), "no checkpoint to go on from",
                     f"tinylm train {trained.text} --out {run} --force\n")


def test_a_model_without_its_text_can_be_asked(trained: Trained, tinylm: Command, tmp_path: Path) -> None:
    there = shutil.copytree(trained.run, tmp_path / "another machine" / "model")
    shutil.rmtree(trained.place)
    for command in (("generate", there, "the", "--max-tokens", 3), ("predict", there, "the"), ("inspect", there),
                    ("report", there), ("tokenize", there, "the")):
        assert tinylm(*command).code == 0
    assert_sentences(tinylm("evaluate", there), str(trained.text), f"--out '{there}'")


@pytest.mark.parametrize("command", ["train --resume --out", "evaluate"])
def test_a_text_that_was_changed_in_place_is_told_with_its_date(trained: Trained, tinylm: Command,
                                                                command: str) -> None:
    trained.text.write_text(trained.text.read_text() + "More.")
    assert_sentences(tinylm(*command.split(), trained.run), f"{trained.text}: this text has changed since the model "
                     "was trained on it; it was last written on 20", "Restore it as it was.")


def test_a_run_from_standard_input_is_told_as_such(trained: Trained, tinylm: Command) -> None:
    values = json.loads((trained.run / "config.json").read_text())
    values["data"]["source"] = "-"
    (trained.run / "config.json").write_text(json.dumps(values))
    assert_sentences(tinylm("train", "--resume", "--out", trained.run), "standard input",
                     f"Pass it on: tinylm train - --resume --out {trained.run} < TEXT\n")
    assert tinylm("train", trained.text, "--resume", "--out", trained.run).code == 0
    assert source_of(trained.run) == str(trained.text)


# ---- what is no run, or a finished one


def test_a_finished_run_says_that_nothing_is_left(trained: Trained, tinylm: Command) -> None:
    said = tinylm("train", "--resume", "--out", trained.run)
    assert said.code == 0
    assert "it has taken all of its 3 steps; to train longer" in said.out.replace("\n", " ")


def test_a_model_that_was_replaced_can_go_on(trained: Trained, tinylm: Command) -> None:
    old = trained.run.rename(trained.run.with_name("run.old"))
    assert tinylm("train", "--resume", "--out", old, "--steps", 4, "--json").json["step"] == 4


@pytest.mark.parametrize(("name", "said"), [("nowhere", "no such model folder"), (".", "not a model folder")])
def test_what_is_no_run(trained: Trained, tinylm: Command, name: str, said: str) -> None:
    assert_sentences(tinylm("train", "--resume", "--out", trained.place / name), said)


@pytest.mark.parametrize(("parts", "line"), [
    (("Did you mean 'a'?", "Then go on"), "Did you mean 'a'? Then go on."), (("", "Go on."), "Go on."),
    (("Stop!", "", "Wait"), "Stop! Wait."), (("Make room. Wait", "Go on with: tinylm train a.txt"),
                                             "Make room. Wait. Go on with: tinylm train a.txt"), (("", ""), ""),
])
def test_sentences_are_joined_in_one_way(parts: tuple[str, ...], line: str) -> None:
    assert sentences(*parts).rstrip(".") == line.rstrip(".")
    assert str(TinyLMError("x", remedy=sentences(*parts))) == (f"x. {sentences(*parts)}" if any(parts) else "x.")
