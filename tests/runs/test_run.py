"""One run, from a text to a folder."""

import json
import math
import time

import pytest

import tinylm
from tinylm.config.overrides import merge_overrides
from tinylm.errors import TinyLMError
from tinylm.lm import LanguageModel

SMALL = {"model": {"context_length": 32}}


def test_later_choices_win_and_one_horizon_replaces_another():
    layers = {"train": {"epochs": 3}}, {"model": {"d_model": 8}}
    chosen = merge_overrides(preset_name="notebook", layers=layers, steps=5)
    assert chosen["train"]["steps"] == 5
    assert "epochs" not in chosen["train"]
    assert chosen["model"]["d_model"] == 8
    assert chosen["model"]["norm_position"] == "post"


def test_an_unknown_argument_is_our_callers_mistake():
    with pytest.raises(TypeError, match="minuets"):
        tinylm.train("hello", minuets=2)


def test_the_metrics_hold_every_step_and_no_clock(book_run):
    lines = [json.loads(line) for line in (book_run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "step"] == list(range(1, 31))
    assert lines[-1]["event"] == "finished"
    assert not any("second" in key or "time" in key for line in lines for key in line)


def test_the_loss_falls_honestly(book_run):
    lines = [json.loads(line) for line in (book_run / "metrics.jsonl").read_text().splitlines()]
    validations = [line["loss"] for line in lines if line["event"] == "validation"]
    assert validations[-1] < validations[0] < math.log(130)
    assert validations[-1] == min(validations)


def test_the_same_run_twice_is_the_same_to_the_byte(book, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        tinylm.train(book, size="0.1M", tokenizer="bpe", vocab_size=300, steps=4, out=folder, quiet=True,
                     config={"model": {"context_length": 32, "dropout": 0.1}})
    for name in ("model.safetensors", "metrics.jsonl", "samples.jsonl", "tokenizer.json", "config.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def test_minutes_are_kept(book, tmp_path):
    started = time.perf_counter()
    tinylm.train(book, size="0.1M", tokenizer="char", minutes=0.1, out=tmp_path / "run", quiet=True, config=SMALL)
    seconds = time.perf_counter() - started
    assert 3 < seconds < 9, "6 seconds were asked for"


@pytest.mark.slow
def test_minutes_are_kept_where_the_last_texts_take_long(book, tmp_path, monkeypatch):
    generate = LanguageModel.generate

    def generate_slowly(lm, *prompt, samples=None, max_tokens, **settings):
        time.sleep(0.0045 * max_tokens * (samples or 1))  # 2.7 s at the end
        return generate(lm, *prompt, samples=samples, max_tokens=max_tokens, **settings)

    monkeypatch.setattr(LanguageModel, "generate", generate_slowly)
    started = time.perf_counter()
    tinylm.train(book, size="0.1M", tokenizer="char", minutes=0.2, out=tmp_path / "run", quiet=True, config=SMALL)
    assert time.perf_counter() - started < 14, "12 seconds were asked for"


def test_training_stops_at_a_loss(book, tmp_path):
    lm = tinylm.train(book, size="0.1M", tokenizer="char", steps=200, target_loss=3.9, out=tmp_path / "run", quiet=True,
                      config={**SMALL, "train": {"evaluate_every": 2}})
    finished = json.loads((lm.folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert finished["reason"] == "until"
    assert finished["step"] < 200


def test_documents_are_packed_and_their_ends_learned(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(f"{a}{b}" for a in "abcdefgh" for b in ("nna", "rno", "lex")) + "\n")
    lm = tinylm.train(path, documents="line", tokenizer="char", size="0.1M", steps=60, out=tmp_path / "run", quiet=True,
                      config=SMALL)
    assert lm.config.data.packing == "packed"
    completion = lm.complete("ca", greedy=True)
    assert completion.stopped_by == "eos"


@pytest.mark.parametrize("preset", ["gpt2", "llama", "qwen3", "tinylm"])
def test_every_preset_trains(preset, book, tmp_path):
    lm = tinylm.train(book, preset=preset, size="0.1M", tokenizer="char", steps=25, out=tmp_path / "run", quiet=True,
                      config=SMALL)
    assert lm.evaluate().loss < 3.6


def test_plan_and_train_agree(book, book_run):
    planned = tinylm.plan(book, size="0.1M", tokenizer="char", steps=30, config=SMALL)
    assert planned["config"] == json.loads(tinylm.load(book_run).config.to_json())
    assert planned["forecast"]["steps"] == 30
    assert planned["forecast"]["parameters"] == tinylm.load(book_run).inspect()["parameters"]["total"]


def test_numbers_that_explode_are_told(book, tmp_path):
    with pytest.raises(TinyLMError, match=r"not finite in step \d+.*learning rate"):
        tinylm.train(book, size="0.1M", tokenizer="char", steps=50, out=tmp_path / "run", quiet=True,
                     config={**SMALL, "train": {"learning_rate": 1e37, "muon_learning_rate": 1e37, "grad_clip": 0.0,
                                                "warmup_steps": 0}})
    assert not (tmp_path / "run" / "model.safetensors").exists()
    metrics = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert '"rollback"' in metrics
    assert "NaN" not in metrics
