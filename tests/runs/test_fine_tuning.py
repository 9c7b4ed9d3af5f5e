"""A run that begins from a base: its first loss is the base's, its result is never worse, and it holds what a run from
nothing holds."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tinylm
from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.evaluation.base import Base
from tinylm.model.tensors import fingerprint
from tinylm.training.loop import Training

QUICK = {"train": {"evaluate_every": 3, "batch_size": 8, "learning_rate": 3e-3, "muon_learning_rate": 5e-3},
         "model": {"dropout": 0.1}}
LASTING = ("model.safetensors", "metrics.jsonl", "samples.jsonl", "config.json", "tokenizer.json")


@pytest.fixture(scope="module")
def notes(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 6 KB of another part of the book's text, in the same letters."""
    path = tmp_path_factory.mktemp("notes") / "notes.txt"
    path.write_text(book.read_text(encoding="utf-8")[-6000:].lower(), encoding="utf-8")
    return path


def fine_tune(text: Path, base: Path, out: Path, **flags: Any) -> tinylm.LanguageModel:
    return tinylm.train(text, base=base, out=out, quiet=True, **{"steps": 6, "config": QUICK, **flags})


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / model_folder.METRICS).read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


@pytest.fixture(scope="module")
def tuned(notes: Path, book_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned") / "run"
    fine_tune(notes, book_run, folder)
    return folder


def test_it_has_the_shape_and_the_tokenizer_of_the_base(tuned, book_run):
    base, lm = tinylm.load(book_run), tinylm.load(tuned)
    assert (tuned / "tokenizer.json").read_bytes() == (book_run / "tokenizer.json").read_bytes()
    assert lm.config.model.model_copy(update={"dropout": 0.0}) == base.config.model.model_copy(update={"dropout": 0.0})


def test_the_first_loss_is_that_of_the_base(tuned, book_run):
    first = events(tuned, "validation")[0]
    assert first["step"] == 0
    held_out = tinylm.load(book_run).model.eval()
    lm = tinylm.load(tuned)
    lm.model.load_state_dict(held_out.state_dict())
    assert lm.evaluate().loss == pytest.approx(first["loss"], abs=2e-3)  # 32 bits here, 16 in training


def test_the_base_is_a_baseline_of_the_run_of_its_report_and_of_its_card(tuned):
    began, first = events(tuned, "begin")[0], events(tuned, "validation")[0]
    report = tinylm.load(tuned).evaluate()
    ratio = began["validation_tokens"] / began["validation_bytes"] / np.log(2)
    assert began["baselines"]["base"] == pytest.approx(first["loss"] * ratio)
    assert report.baselines["base"] == pytest.approx(began["baselines"]["base"], abs=5e-3)
    assert report.bits_per_byte < report.baselines["base"]
    assert "| the base |" in (tuned / "README.md").read_text(encoding="utf-8")


def test_any_other_text_has_the_base_beside_it(tuned, book_run):
    report = tinylm.load(tuned).evaluate(texts="the text of a value is its name, and a name is a value. " * 9)
    other = tinylm.load(book_run).evaluate(texts="the text of a value is its name, and a name is a value. " * 9)
    assert report.baselines["base"] == pytest.approx(other.bits_per_byte)


def test_the_folder_names_its_parent(tuned, book_run):
    parent = {"folder": str(book_run), "fingerprint": Base.read(str(book_run)).fingerprint, "lora": 0}
    assert tinylm.load(tuned).inspect()["base"] == parent
    assert parent["fingerprint"] in (tuned / "README.md").read_text(encoding="utf-8")
    assert "base" not in tinylm.load(book_run).inspect()


def test_the_fingerprint_is_of_the_numbers_and_not_of_the_file(book_run, tmp_path):
    copy = tinylm.load(book_run)
    copy.save(tmp_path / "copy")
    assert Base.read(str(tmp_path / "copy")).fingerprint == Base.read(str(book_run)).fingerprint
    with torch.no_grad():
        copy.model.ln_f.weight[0] += 1e-3
    weights = {name: tensor.detach().numpy() for name, tensor in copy.model.named_parameters()}
    assert fingerprint(weights) != Base.read(str(book_run)).fingerprint


def test_a_base_that_no_step_makes_better_is_what_remains(notes, book_run, tmp_path):
    lm = fine_tune(notes, book_run, tmp_path / "run", config={
        "train": {**QUICK["train"], "learning_rate": 1.0, "muon_learning_rate": 1.0, "warmup_steps": 0}})
    assert events(tmp_path / "run", "finished")[0]["best_step"] == 0
    base = Base.read(str(book_run))
    assert fingerprint({name: value.detach().numpy() for name, value in lm.model.named_parameters()}
                       ) == base.fingerprint


def test_a_run_with_nothing_held_out_has_the_base_beside_it_on_its_own_text(notes, book_run, tmp_path):
    lm = fine_tune(notes, book_run, tmp_path / "run", validation=0)
    assert not events(tmp_path / "run", "validation")
    assert lm.evaluate().split == "train"
    assert lm.evaluate().bits_per_byte < events(tmp_path / "run", "begin")[0]["baselines"]["base"]


@pytest.mark.parametrize(("kind", "step"), [("begin", 0), ("validation", 0), ("step", 1), ("step", 5)])
@pytest.mark.parametrize("replay", [0, 0.3])
def test_ctrl_c_and_resume_give_the_same_folder_to_the_byte(notes, book_run, tuned, tmp_path, stop_at, kind, step,
                                                            replay):
    whole, folder = tuned, tmp_path / "run"
    if replay:
        whole = tmp_path / "whole"
        fine_tune(notes, book_run, whole, replay=replay)
    stop_at(kind, step)
    fine_tune(notes, book_run, folder, replay=replay)
    assert events(folder, "finished")[0]["reason"] == "interrupted"
    tinylm.train(resume=True, out=folder, quiet=True)
    for name in LASTING:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_run_that_is_stopped_before_its_base_was_evaluated_begins_again(notes, book_run, tuned, tmp_path,
                                                                         monkeypatch):
    validate_start = Training.validate_start

    def stop_and_validate(training):
        signal.raise_signal(signal.SIGINT)
        return validate_start(training)

    monkeypatch.setattr(Training, "validate_start", stop_and_validate)
    fine_tune(notes, book_run, tmp_path / "run")
    assert not events(tmp_path / "run", "begin")
    monkeypatch.undo()
    tinylm.train(resume=True, out=tmp_path / "run", quiet=True)
    for name in LASTING:
        assert (tmp_path / "run" / name).read_bytes() == (tuned / name).read_bytes(), name


@pytest.mark.parametrize("force", [False, True])
def test_a_model_does_not_replace_its_base(notes, book_run, force):
    with pytest.raises(TinyLMError, match="is the base"):
        fine_tune(notes, book_run, book_run.parent / "." / book_run.name, force=force)


def test_replay_keeps_more_of_what_the_base_knew(book, book_run, notes, tmp_path):
    config = {"train": {"batch_size": 8, "evaluate_every": 20, "learning_rate": 3e-3, "muon_learning_rate": 5e-3}}
    forgot = fine_tune(notes, book_run, tmp_path / "forgot", steps=20, config=config)
    kept = fine_tune(notes, book_run, tmp_path / "kept", steps=20, config=config, replay=0.5)
    assert events(tmp_path / "kept", "finished")[0]["best_step"] == events(tmp_path / "forgot", "finished")[0][
        "best_step"] == 20
    known = book.read_text(encoding="utf-8")[:2000]
    assert kept.evaluate(texts=known).loss < forgot.evaluate(texts=known).loss


# ---- the base afterwards


@pytest.fixture
def moved(notes: Path, book_run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A run that was begun from a base, and the base itself, which is not where it was."""
    base, run = shutil.copytree(book_run, tmp_path / "base"), tmp_path / "run"
    fine_tune(notes, base, run, replay=0.3)
    return run, base.rename(tmp_path / "elsewhere")


def test_without_its_base_a_model_is_evaluated_and_says_what_is_missing(moved):
    report = tinylm.load(moved[0]).evaluate()
    assert "base" not in report.baselines
    assert any("cannot be compared with its base" in note for note in report.notes)


def test_a_run_that_replays_needs_its_base_and_takes_it_where_it_is_now(moved):
    run, elsewhere = moved
    with pytest.raises(TinyLMError, match=r"the base .*no such model folder"):
        tinylm.train(resume=True, out=run, quiet=True, steps=8)
    lm = tinylm.train(resume=True, out=run, base=elsewhere, quiet=True, steps=8)
    assert lm.config.base.folder == str(elsewhere)
    assert events(run, "step")[-1]["step"] == 8


def test_a_changed_base_is_no_base(tuned, book_run, hello_run, tmp_path):
    run = shutil.copytree(tuned, tmp_path / "run")
    for base, message in ((hello_run, "another model"), ("none", "cannot change that")):
        with pytest.raises(TinyLMError, match=message):
            tinylm.train(resume=True, out=run, base=base, quiet=True)
    with pytest.raises(TinyLMError, match="from nothing"):
        tinylm.train(resume=True, out=shutil.copytree(book_run, tmp_path / "own"), base=tuned, quiet=True)


def test_replay_says_when_the_text_of_the_base_has_gone(notes, book_run, tmp_path):
    base = shutil.copytree(book_run, tmp_path / "base")
    values = json.loads((base / "config.json").read_text())
    for source, message in ((str(tmp_path / "gone.txt"), "the text of this model is not there"), ("", "names no text"),
                            ("-", "standard input"), (str(notes), "has changed")):
        values["data"]["source"] = source
        (base / "config.json").write_text(json.dumps(values))
        with pytest.raises(TinyLMError, match=message) as error:
            fine_tune(notes, base, tmp_path / "run", replay=0.1)
        assert "leave out --replay" in error.value.remedy or "Leave out --replay" in error.value.remedy
        assert not (tmp_path / "run").exists()


def test_replay_needs_a_base(notes, tmp_path):
    with pytest.raises(TinyLMError, match="begins from nothing"):
        tinylm.train(notes, replay=0.1, out=tmp_path / "run", quiet=True, steps=2)


# ---- what a base does not know


def test_a_character_that_the_base_does_not_know_is_named_with_the_remedy(notes, book_run, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(notes.read_text(encoding="utf-8")[:3000] + "ﬀ and ☃ and ☃", encoding="utf-8")
    with pytest.raises(TinyLMError, match=r"3 of [\d,]+ characters .*'☃', 'ﬀ'") as error:
        fine_tune(text, book_run, tmp_path / "run")
    assert "--from none" in error.value.remedy
    assert not (tmp_path / "run").exists()


def test_words_that_the_base_reads_as_unknown_are_counted(book, notes, tmp_path):
    tinylm.train(book, tokenizer="word", vocab_size=300, size="0.1M", steps=2, out=tmp_path / "words", quiet=True,
                 config={"model": {"context_length": 16}})
    notes = tinylm.plan(notes, base=tmp_path / "words", steps=2)["notes"]
    assert any("words" in note and "unknown to the base, and read as <unk>" in note for note in notes)


# ---- planning


def test_a_plan_says_what_to_expect_of_the_base_and_of_nothing(notes, book_run):
    planned = tinylm.plan(notes, base=book_run, epochs=2)
    forecast = planned["forecast"]
    assert forecast["bits_per_byte"] <= min(forecast["base_bits_per_byte"], forecast["from_nothing_bits_per_byte"])
    assert any(str(book_run) in note for note in planned["notes"])
    assert planned["config"]["base"]["fingerprint"] == Base.read(str(book_run)).fingerprint


def test_from_none_is_what_a_run_is_without_it(notes, tmp_path):
    small = {"size": "0.1M", "config": {"model": {"context_length": 16}}}
    for name, base in (("one", None), ("other", "none")):
        fine_tune(notes, base, tmp_path / name, **small)
    for name in LASTING:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name
