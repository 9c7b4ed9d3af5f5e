"""A run and its folder: stopped, resumed, extended; poisoned; the same wherever and however often it runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tinylm
from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.runs import assembly, run
from tinylm.runs.recorder import Recorder

SMALL = {"model": {"context_length": 16, "d_model": 16, "n_layers": 2, "n_heads": 2, "dropout": 0.1},
         "train": {"evaluate_every": 3, "batch_size": 8}}
LASTING = ("model.safetensors", "metrics.jsonl", "samples.jsonl", "config.json", "tokenizer.json")


def small(book, out, **flags):
    return tinylm.train(book, tokenizer="char", out=out, quiet=True, config=SMALL, **{"steps": 12, **flags})


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def moments(folder):
    newest = max((folder / "checkpoints").glob("[0-9]*"))
    return digest(newest / "moments.safetensors")


@pytest.fixture(scope="module")
def undisturbed(book, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    small(book, folder)
    return folder


@pytest.mark.parametrize("step", [1, 5, 11])
def test_ctrl_c_and_resume_give_the_same_folder_to_the_byte(book, tmp_path, undisturbed, stop_at, step):
    folder = tmp_path / "run"
    stop_at("step", step)
    stopped = small(book, folder)
    assert json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["reason"] == "interrupted"
    assert stopped.predict("a")
    tinylm.train(resume=True, out=folder, quiet=True)
    for name in LASTING:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert moments(folder) == moments(undisturbed)


def test_a_request_to_stop_in_a_validation_is_heard_after_its_step(book, tmp_path, undisturbed, stop_at):
    folder = tmp_path / "run"
    stop_at("validation", 6)
    small(book, folder)
    tinylm.train(resume=True, out=folder, quiet=True)
    assert digest(folder / "model.safetensors") == digest(undisturbed / "model.safetensors")


def test_a_finished_run_that_is_resumed_stays_as_it_is(undisturbed, tmp_path):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    tinylm.train(resume=True, out=folder, quiet=True)
    for name in LASTING:
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_a_run_may_be_extended_and_says_so(undisturbed, tmp_path, capsys):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    lm = run.resume_run(None, {"train": {"steps": 18}}, out=folder, console=run.Console(width=200)).lm
    assert lm.config.train.steps == model_folder.read_config(folder).train.steps == 18
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 19))
    assert [event["event"] for event in events].count("finished") == 1
    told = capsys.readouterr().out
    assert "going on from step 12" in told
    assert "steps: 18 instead of 12" in told


def test_the_folder_alone_may_be_named_and_the_command_be_repeated(book, undisturbed, tmp_path):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    tinylm.train(folder, resume=True, quiet=True)
    small(book, folder, resume=True)


@pytest.mark.parametrize(("changed", "named"), [
    ({"seed": 3}, "train.seed"), ({"tokenizer": "bpe"}, "data.tokenizer"), ({"epochs": 2}, "train.epochs"),
    ({"config": {"model": {"d_model": 32}}}, "model.d_model"), ({"size": "0.8M"}, "model."),
    ({"config": {"train": {"batch_size": 4}}}, "train.batch_size"), ({"preset": "gpt2"}, "model."),
])
def test_what_cannot_be_changed_is_refused_by_name(undisturbed, changed, named):
    with pytest.raises(TinyLMError, match=named):
        tinylm.train(resume=True, out=undisturbed, quiet=True, **changed)


def test_a_changed_text_is_refused(undisturbed, tmp_path, book):
    other = tmp_path / "other.txt"
    other.write_text(book.read_text()[:-10] + "different!")
    with pytest.raises(TinyLMError, match="not the text that the run began with"):
        tinylm.train(other, resume=True, out=undisturbed, quiet=True)


def test_a_text_may_have_moved(undisturbed, tmp_path, book):
    moved, folder = tmp_path / "moved.txt", shutil.copytree(undisturbed, tmp_path / "run")
    shutil.copyfile(book, moved)
    tinylm.train(moved, resume=True, out=folder, quiet=True)


def test_what_cannot_be_resumed_is_said(tmp_path, hello_run):
    with pytest.raises(TinyLMError, match="no such model folder"):
        tinylm.train(resume=True, out=tmp_path / "none", quiet=True)
    with pytest.raises(TinyLMError, match="which run"):
        tinylm.train(resume=True, quiet=True)
    folder = shutil.copytree(hello_run, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(TinyLMError, match="no checkpoint to go on from"):
        tinylm.train(resume=True, out=folder, quiet=True)


def test_a_damaged_checkpoint_is_passed_over_and_said(undisturbed, tmp_path, capsys):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    newest = max((folder / "checkpoints").glob("[0-9]*"))
    (newest / "weights.safetensors").write_bytes(b"rot")
    run.resume_run(None, {}, out=folder, console=run.Console(width=200))
    assert f"{newest.name} is damaged" in capsys.readouterr().out
    assert digest(folder / "model.safetensors") == digest(undisturbed / "model.safetensors")


def test_while_it_trains_the_best_weights_so_far_can_be_asked(book, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("tinylm.runs.recorder.MIN_SAVE_INTERVAL", 0.0)
    monkeypatch.setattr("tinylm.runs.recorder.SAVING_SHARE", 1e9)
    save = Recorder.save

    def save_and_ask(journal, training):
        save(journal, training)
        if training.best_loss is not None:
            asked.append(tinylm.load(journal.folder).predict("a")[0].probability)

    monkeypatch.setattr(Recorder, "save", save_and_ask)
    lm = small(book, tmp_path / "run")
    assert asked[-1] == pytest.approx(lm.predict("a")[0].probability, rel=1e-4)  # one by the engine, one by PyTorch
    assert len(set(asked)) > 1


# ---- R8: a NaN in a gradient, in a whole run


@pytest.fixture
def poison(monkeypatch):
    """From some step on, a gradient of the second layer is not a number: `times` times."""
    def give(step, times):
        make = assembly.make_optimizers

        def make_and_poison(model, *more):
            calls = iter(range(10_000))
            model.layers[1].mlp.up_proj.weight.register_hook(
                lambda gradient: gradient * float("nan") if step <= next(calls) < step + times else gradient)
            return make(model, *more)

        monkeypatch.setattr(assembly, "make_optimizers", make_and_poison)
    return give


def all_tensors(folder):
    from safetensors.torch import load_file

    return [tensor for path in folder.rglob("*.safetensors") for tensor in load_file(path).values()]


def test_a_nan_never_reaches_the_disk_and_the_step_and_layer_are_named(book, tmp_path, poison, capsys):
    poison(7, 100)
    overrides = run.merge_overrides(layers=(SMALL,), tokenizer="char", steps=12)
    outcome = run.train_run(book, overrides, out=tmp_path / "run",
                            console=run.Console(width=300))
    assert outcome.finished.reason == "not finite"
    assert all(torch.isfinite(tensor).all() for tensor in all_tensors(tmp_path / "run"))
    told = capsys.readouterr().out
    assert "Step 8: a number was not finite" in told
    assert "layers.1.mlp.up_proj" in told
    assert outcome.lm.predict("a")


def test_a_single_nan_costs_some_steps_and_no_more(book, tmp_path, poison):
    poison(7, 1)
    small(book, tmp_path / "run")
    events = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    back = next(event for event in events if event["event"] == "rollback")
    assert (back["step"], events[-1]["reason"], events[-1]["step"]) == (8, "finished", 12)


# ---- R2: the same config gives the same result

TRAIN = """
import sys, tinylm
tinylm.train(sys.argv[1], tokenizer="bpe", vocab_size=300, steps=5, out=sys.argv[2], quiet=True,
             config={"model": {"context_length": 32, "d_model": 64, "n_layers": 2, "n_heads": 2, "dropout": 0.1}})
"""


@pytest.mark.parametrize("runs", [3, pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_config_gives_the_same_bytes(book, tmp_path, threads, runs):
    """In other processes, with other hash seeds, and while something else keeps a core busy."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        results = set()
        for i, seed in enumerate((["0", "1", "random"] * 2)[:runs]):
            folder = tmp_path / str(i)
            subprocess.run([sys.executable, "-c", TRAIN, book, folder], check=True, timeout=200, env={
                **os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": str(threads),
                "TINYLM_CACHE": str(tmp_path / f"cache {i}")})
            results.add(tuple(digest(folder / name) for name in LASTING))
    finally:
        busy.kill()
        busy.wait()
    assert len(results) == 1
