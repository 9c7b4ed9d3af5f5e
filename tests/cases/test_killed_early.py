"""A run that was killed before it had weights: told as what it is by every command, with the way to go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tinylm as library
from tests.cases.recipes import book
from tests.cli.conftest import Command
from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.runs.recorder import Recorder
from tinylm.serving.limits import Limits
from tinylm.serving.model_registry import ModelRegistry

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("generate", "the"), ("predict", "the"), ("evaluate",), ("chat",), ("serve", "--port", "0"))
WITHOUT_WEIGHTS: tuple[tuple[str, ...], ...] = (("inspect", "--json"), ("tokenize", "the", "--json"))


@pytest.fixture(scope="module")
def killed_in_its_first_step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was left at once, by a second Ctrl-C, in its first step. Not to be changed: copy it."""
    place = tmp_path_factory.mktemp("killed")
    (place / "book.txt").write_text(book(6000))

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "write", leave)
        with pytest.raises(KeyboardInterrupt):
            library.train(place / "book.txt", out=place / "my run", size="0.1M", tokenizer="char", steps=3, quiet=True,
                          config={"model": {"context_length": 16}, "train": {"batch_size": 4}})
    return place / "my run"


@pytest.fixture
def killed(killed_in_its_first_step: Path, tmp_path: Path) -> Path:
    return shutil.copytree(killed_in_its_first_step, tmp_path / "my run")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"case_53 {command[0]}")
def test_every_command_says_how_to_go_on(command: tuple[str, ...], killed: Path, tinylm: Command) -> None:
    name, *more = command
    said = tinylm(name, killed, *more)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err == (f"tinylm: {killed}: the run is not finished: it has no weights yet. "
                        f"Go on with: tinylm train --resume --out '{killed}'\n")


@pytest.mark.parametrize("command", WITHOUT_WEIGHTS, ids=lambda command: command[0])
def test_what_needs_no_weights_answers_and_says_so(command: tuple[str, ...], killed: Path, tinylm: Command) -> None:
    name, *more = command
    said = tinylm(name, killed, *more)
    assert said.json
    assert "the run is not finished" in said.err


def test_a_report_of_no_step_is_told_alike(killed: Path, tinylm: Command) -> None:
    said = tinylm("report", killed)
    assert (said.code, "Go on with: tinylm train --resume" in said.err) == (2, True)


def test_the_advice_finishes_the_run(killed: Path, tinylm: Command) -> None:
    assert tinylm("train", "--resume", "--out", killed).code == 0
    assert tinylm("generate", killed, "the", "--max-tokens", 3).code == 0
    assert model_folder.unfinished_error(killed) is None


def test_a_run_that_trains_at_this_moment_is_told_as_such(killed: Path, tinylm: Command) -> None:
    with model_folder.locked(killed):
        said = tinylm("generate", killed, "the")
    assert "is training at this moment, and has no weights yet. Wait for its first validation" in said.err


def test_a_server_passes_over_it_until_it_has_weights(killed: Path, book_run: Path, tmp_path: Path) -> None:
    told: list[str] = []
    shutil.copytree(book_run, tmp_path / "book")
    registry = ModelRegistry(tmp_path, Limits(), told.append)
    registry.check_not_empty()
    assert registry.ids() == ["book"]
    assert any("passed over" in line and "my run: the run is not finished" in line for line in told)
    shutil.copyfile(book_run / model_folder.WEIGHTS, killed / model_folder.WEIGHTS)
    assert registry.ids() == ["book", "my run"]


def test_a_server_with_nothing_else_says_why(killed: Path) -> None:
    with pytest.raises(TinyLMError, match="Go on with: tinylm train --resume"):
        ModelRegistry(killed.parent, Limits(), print).check_not_empty()


@pytest.mark.parametrize(("damage", "said"), [
    (lambda folder: shutil.rmtree(folder / "checkpoints"), "Restore the folder from a copy"),
    (lambda folder: [shutil.rmtree(path) for path in (folder / "checkpoints").glob("[0-9]*")], "from a copy"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b""), "damaged"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json: is missing"),
    (lambda folder: (folder / "config.json").unlink(), "not a model folder"),
    (lambda folder: (folder / "config.json").write_text(json.dumps({"format": 1})), "config.json"),
])
def test_half_copied_folders_are_told_as_such(damage: Callable[[Path], object], said: str, killed: Path,
                                             tinylm: Command) -> None:
    damage(killed)
    found = tinylm("generate", killed, "the")
    assert (found.code, said in found.err) == (2, True), found
