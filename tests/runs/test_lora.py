"""A run that trains low-rank additions to a base holds what every run holds, and its folder is a model like others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tinylm
from tests.runs.test_fine_tuning import LASTING, events, fine_tune, notes  # noqa: F401
from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.evaluation.base import Base
from tinylm.interchange.peft import read_adapter
from tinylm.planning.memory_model import training_peak
from tinylm.runs import assembly
from tinylm.training.checkpoint import Checkpoints

ADAPTER = ("adapter/adapter_config.json", "adapter/adapter_model.safetensors")


@pytest.fixture(scope="module")
def tuned(notes: Path, book_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("tuned") / "run"
    fine_tune(notes, book_run, folder, lora=4)
    return folder


def test_it_is_better_than_its_base_by_additions_of_low_rank_alone(tuned, book_run):
    lm, base = tinylm.load(tuned), Base.read(str(book_run))
    report = lm.evaluate()
    assert report.bits_per_byte < report.baselines["base"]
    for name, array in model_folder.read_weights(tuned, lm.config.model).items():
        rank = np.linalg.matrix_rank(array - base.weights[name], tol=1e-5) if array.ndim == 2 else 0
        if name.startswith("layers.") and "norm" not in name:
            assert 1 <= rank <= 4, name
        else:
            assert np.array_equal(array, base.weights[name]), name


def test_its_adapter_and_its_base_are_its_model_to_the_byte(tuned, book_run, tmp_path):
    tinylm.merge(tuned, tmp_path / "merged")
    assert (tmp_path / "merged" / "model.safetensors").read_bytes() == (tuned / "model.safetensors").read_bytes()
    adapter = read_adapter(tuned / "adapter")
    assert adapter.fingerprint == Base.read(str(book_run)).fingerprint
    assert sum(array.size for array in adapter.tensors.values()) < 0.2 * sum(
        array.size for array in Base.read(str(book_run)).weights.values())


def test_its_folder_is_opened_by_every_door(tuned, tmp_path):
    lm = tinylm.load(tuned)
    assert lm.served_by == "engine"
    assert lm.generate("the ", max_tokens=5, seed=1)
    assert lm.inspect()["base"]["lora"] == 4
    card = (tuned / "README.md").read_text(encoding="utf-8")
    assert "additions of rank 4" in card
    assert "--lora 4" in card
    assert fine_tune_from(tuned, tmp_path).config.base.folder == str(tuned)


def fine_tune_from(base: Path, tmp_path: Path) -> tinylm.LanguageModel:
    """A model that was trained as a whole, from another."""
    text = tmp_path / "text.txt"
    text.write_text("the name of the value is the value of the name. " * 30, encoding="utf-8")
    return fine_tune(text, base, tmp_path / "again", steps=2)


@pytest.mark.parametrize(("kind", "step"), [("begin", 0), ("validation", 0), ("step", 1), ("step", 5)])
def test_ctrl_c_and_resume_give_the_same_folder_to_the_byte(notes, book_run, tuned, tmp_path, stop_at,  # noqa: F811
                                                            kind, step):
    folder = tmp_path / "run"
    stop_at(kind, step)
    fine_tune(notes, book_run, folder, lora=4)
    assert events(folder, "finished")[0]["reason"] == "interrupted"
    tinylm.train(resume=True, out=folder, quiet=True)
    for name in (*LASTING, *ADAPTER):
        assert (folder / name).read_bytes() == (tuned / name).read_bytes(), name


def test_a_run_that_was_killed_has_the_best_model_so_far_and_its_adapter(notes, book_run, tmp_path,  # noqa: F811
                                                                         monkeypatch):
    class Killed(BaseException):
        pass

    save, folder = Checkpoints.save, tmp_path / "run"

    def save_and_die(checkpoints, state):
        if state.numbers["step"] == 6:
            raise Killed
        return save(checkpoints, state)

    monkeypatch.setattr("tinylm.runs.recorder.MIN_SAVE_INTERVAL", 0)
    monkeypatch.setattr("tinylm.runs.recorder.SAVING_SHARE", 1e9)
    monkeypatch.setattr(Checkpoints, "save", save_and_die)
    with pytest.raises(Killed):
        fine_tune(notes, book_run, folder, lora=4)
    tinylm.merge(folder, tmp_path / "merged")
    assert (tmp_path / "merged" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert tinylm.load(folder).generate("the ", max_tokens=3)
    assert max(path.stat().st_size for path in (folder / "checkpoints").rglob("*.safetensors")) < (
        folder / "model.safetensors").stat().st_size


def test_additions_that_no_step_makes_better_leave_the_base(notes, book_run, tmp_path):  # noqa: F811
    fine_tune(notes, book_run, tmp_path / "run", lora=4, config={
        "train": {"evaluate_every": 3, "batch_size": 8, "learning_rate": 3.0, "warmup_steps": 0}})
    assert events(tmp_path / "run", "finished")[0]["best_step"] == 0
    assert Base.read(str(tmp_path / "run")).fingerprint == Base.read(str(book_run)).fingerprint
    assert not any(array.any() for name, array in read_adapter(tmp_path / "run" / "adapter").tensors.items()
                   if "lora_B" in name)


def test_a_run_that_goes_on_needs_its_base_and_takes_it_where_it_is_now(notes, book_run, tmp_path):  # noqa: F811
    base, run = shutil.copytree(book_run, tmp_path / "base"), tmp_path / "run"
    fine_tune(notes, base, run, lora=4)
    elsewhere = base.rename(tmp_path / "elsewhere")
    with pytest.raises(TinyLMError, match=r"the base .*no such model folder"):
        tinylm.train(resume=True, out=run, quiet=True, steps=8)
    assert tinylm.load(run).generate("the ", max_tokens=3)
    lm = tinylm.train(resume=True, out=run, base=elsewhere, quiet=True, steps=8)
    assert lm.config.base.folder == str(elsewhere)
    assert events(run, "step")[-1]["step"] == 8


@pytest.mark.parametrize(("flags", "message"), [
    ({"lora": 8}, "has 4, and a run that goes on cannot change that to 8"), ({"lora": 0}, "cannot change that to 0")])
def test_a_run_that_goes_on_has_the_rank_that_it_had(tuned, tmp_path, flags, message):
    run = shutil.copytree(tuned, tmp_path / "run")
    with pytest.raises(TinyLMError, match=message):
        tinylm.train(resume=True, out=run, quiet=True, **flags)


def test_numbers_that_are_not_finite_are_rolled_back(notes, book_run, tmp_path, monkeypatch):  # noqa: F811
    make, calls = assembly.make_optimizers, iter(range(100))

    def make_and_poison(lora, *more):
        lora.model.layers[1].mlp.up_proj.weight.register_hook(
            lambda gradient: gradient * np.nan if next(calls) == 3 else gradient)
        return make(lora, *more)

    monkeypatch.setattr(assembly, "make_optimizers", make_and_poison)
    fine_tune(notes, book_run, tmp_path / "run", lora=4)
    back, = events(tmp_path / "run", "rollback")
    assert (back["step"], back["where"]) == (4, "the gradient of layers.1.mlp.up_proj.b")
    assert events(tmp_path / "run", "finished")[0]["step"] == 6


# ---- planning


def test_a_plan_says_what_is_trained(notes, book_run):  # noqa: F811
    planned = tinylm.plan(notes, base=book_run, lora=4, epochs=2)
    assert planned["config"]["base"]["lora"] == 4
    assert planned["config"]["train"]["optimizer"] == "adamw"
    assert any("additions of rank 4" in note for note in planned["notes"])
    assert planned["forecast"]["seconds"] > 0


def test_additions_need_less_memory_than_all_weights():
    model = tinylm.ModelConfig(vocab_size=4096, d_model=512, n_layers=8, n_heads=8)
    for optimizer in ("muon", "adamw"):
        train = tinylm.TrainConfig(steps=1, batch_size=4, optimizer=optimizer)
        full, additions = (training_peak(model, train, validation_batch_tokens=4096, rank=rank) for rank in (0, 8))
        assert additions < full


@pytest.mark.parametrize(("flags", "message"), [
    ({"lora": 64}, "not low: the base has a width of 64"), ({"lora": -1}, "lora"), ({"lora": "many"}, "lora")])
def test_a_rank_that_cannot_be_is_one_message(notes, book_run, tmp_path, flags, message):  # noqa: F811
    with pytest.raises(TinyLMError, match=message):
        fine_tune(notes, book_run, tmp_path / "run", **flags)
    assert not (tmp_path / "run").exists()


def test_additions_need_a_base(notes, tmp_path):  # noqa: F811
    with pytest.raises(TinyLMError, match="adds to the weights of a base, and this run begins from nothing"):
        tinylm.train(notes, lora=4, out=tmp_path / "run", quiet=True, steps=2)


def test_a_run_without_additions_has_no_adapter_and_no_word_of_them(notes, book_run, tmp_path):  # noqa: F811
    fine_tune(notes, book_run, tmp_path / "run", steps=2)
    assert not (tmp_path / "run" / "adapter").exists()
    assert "LoRA" not in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["base"]["lora"] == 0


