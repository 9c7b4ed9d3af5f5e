"""A run that begins with the weights of another run instead of a draw."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from rich.console import Console

from tinylm import model_folder
from tinylm.config.overrides import merge_overrides
from tinylm.errors import TinyLMError
from tinylm.planning.setup import RunSetup
from tinylm.runs.prepare import plan_run
from tinylm.runs.recorder import Recorder
from tinylm.runs.run import resume_run, start_run
from tinylm.runs.runner import Runner

CONFIG = {"model": {"context_length": 16, "d_model": 16, "n_layers": 2, "n_heads": 2, "dropout": 0.1},
          "train": {"evaluate_every": 3, "batch_size": 8}}
CONSOLE = Console(quiet=True)


def setup_of(book: Path, d_model: int = 16, seed: int = 0) -> RunSetup:
    layers = (CONFIG, {"model": {"d_model": d_model}})
    return plan_run(str(book), merge_overrides(layers=layers, tokenizer="char", steps=6, seed=seed)).setup


def best_loss(folder: Path) -> float:
    return json.loads((folder / model_folder.METRICS).read_text().splitlines()[-1])["best_loss"]


@pytest.fixture(scope="module")
def first(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "run"
    start_run(setup_of(book), folder, console=CONSOLE)
    return folder


@pytest.fixture(scope="module")
def setup(book: Path, first: Path) -> RunSetup:
    """Six more steps, from the weights of the first run, in another order of rows."""
    setup = setup_of(book, seed=5)
    return setup.begun_from(model_folder.read_weights(first, setup.config.model))


def test_it_starts_with_the_validation_loss_that_the_other_run_ended_with(first, setup, tmp_path):
    runner = Runner(setup, tmp_path / "run", CONSOLE, 0.0)
    assert runner.training.validate(lambda: False) == best_loss(first)


def test_a_run_without_weights_starts_elsewhere(book, first, tmp_path):
    runner = Runner(setup_of(book, seed=5), tmp_path / "run", CONSOLE, 0.0)
    assert runner.training.validate(lambda: False) > best_loss(first)


def test_it_resumes_exactly(setup, tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    start_run(setup, whole, console=CONSOLE)
    write = Recorder.write

    def write_and_stop(recorder, event):
        write(recorder, event)
        if (event.kind, getattr(event, "step", None)) == ("step", 2):
            monkeypatch.undo()
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Recorder, "write", write_and_stop)
    assert start_run(setup, stopped, console=CONSOLE).finished.reason == "interrupted"
    resume_run(None, {}, out=stopped, console=CONSOLE)
    for name in (model_folder.WEIGHTS, model_folder.METRICS, model_folder.SAMPLES):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes(), name


def test_weights_of_another_model_are_refused_by_name(book, first):
    other = setup_of(book, d_model=32)
    with pytest.raises(TinyLMError, match="embed"):
        other.begun_from(model_folder.read_weights(first, model_folder.read_config(first).model))
