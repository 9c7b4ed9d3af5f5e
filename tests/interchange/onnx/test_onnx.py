"""ONNX: every shape gives the logits of the torch module, whole, on a cache, and in a padded batch."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.interchange.shapes import SHAPES, greedy, make_model, reference
from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.interchange.onnx import check
from tinylm.interchange.onnx.export import write
from tinylm.interchange.onnx.weights import quantize
from tinylm.interchange.source import ExportedModel

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def make_ids(model: ExportedModel, length: int, seed: int = 1) -> list[int]:
    return np.random.default_rng(seed).integers(0, model.config.model.vocab_size, length).tolist()


def open_graph(folder) -> check.Graph:
    path = check.find_file(folder)
    return check.Graph(path, check._runtime(path))


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_are_those_of_the_module_whole_and_on_a_cache(shape, tmp_path):
    model = make_model(shape)
    write(model, tmp_path, "f32")
    ids = make_ids(model, 40)
    expected = reference(model, ids)
    assert np.abs(check.read_logits(tmp_path)(ids) - expected).max() < 1e-4  # in two parts
    graph = open_graph(tmp_path)
    batch = np.array([ids], np.int64)
    whole, _ = graph.step(batch, np.ones_like(batch), graph.empty_cache(1))
    assert np.abs(whole[0] - expected).max() < 1e-4
    cache = graph.empty_cache(1)
    for t in range(len(ids)):  # token by token
        logits, cache = graph.step(batch[:, t:t + 1], np.ones((1, t + 1), np.int64), cache)
        assert np.abs(logits[0, 0] - expected[t]).max() < 1e-4


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_a_left_padded_batch_do_not_see_one_another_or_the_padding(shape, tmp_path):
    model = make_model(shape)
    write(model, tmp_path, "f32")
    rows = [make_ids(model, length, seed) for seed, length in enumerate((3, 17, 9))]
    ids, mask = np.zeros((3, 17), np.int64), np.zeros((3, 17), np.int64)
    for row, text in enumerate(rows):
        ids[row, 17 - len(text):], mask[row, 17 - len(text):] = text, 1
    graph = open_graph(tmp_path)
    logits, cache = graph.step(ids, mask, graph.empty_cache(3))
    further = np.array([[3], [4], [5]], np.int64)
    after, _ = graph.step(further, np.concatenate([mask, np.ones((3, 1), np.int64)], axis=1), cache)
    for row, text in enumerate(rows):
        expected = reference(model, [*text, int(further[row, 0])])
        assert np.abs(logits[row, 17 - len(text):] - expected[:-1]).max() < 1e-4
        assert np.abs(after[row, 0] - expected[-1]).max() < 1e-4


@pytest.mark.parametrize("prompts", [1, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", SHAPES)
def test_64_greedy_tokens_are_the_same(shape, prompts, tmp_path):
    model = make_model(shape)
    write(model, tmp_path, "f32")
    graph = open_graph(tmp_path)
    for seed in range(prompts):
        ids = make_ids(model, 2 + seed, seed)
        assert written(graph, ids, 64) == greedy(model, ids, 64), seed


def written(graph, ids, number):
    """The likeliest ids after a prompt, each read on the cache of those before it."""
    found, given, cache = [], ids, graph.empty_cache(1)
    while len(found) < number:
        mask = np.ones((1, len(ids) + len(found)), np.int64)
        logits, cache = graph.step(np.array([given], np.int64), mask, cache)
        given = [int(logits[0, -1].argmax())]
        found += given
    return found


@pytest.mark.parametrize("shape", ["default", "narrow heads", "gpt2", "notebook"])
@pytest.mark.parametrize("dtype", ["f16", "q8_0"])
def test_smaller_numbers_compute_what_the_rounded_weights_do(shape, dtype, tmp_path):
    model = make_model(shape)
    write(model, tmp_path, dtype)

    def rounded(name, weight):
        if weight.ndim == 1 or name == "positions.weight":
            return weight
        if dtype == "f16" or weight.shape[-1] % 32:
            return weight.astype(np.float16).astype(np.float32)
        scales, whole = quantize(name, weight)
        return (scales.astype(np.float32) * whole).reshape(weight.shape)

    weights = {name: rounded(name, weight) for name, weight in model.weights.items()}
    ids = make_ids(model, 30)
    expected = reference(ExportedModel(model.name, model.config, model.tokenizer, weights), ids)
    assert np.abs(check.read_logits(tmp_path)(ids) - expected).max() < 1e-4


@pytest.mark.parametrize("shape", ["default", "gpt2", "notebook"])
def test_the_reference_of_onnx_agrees(shape, tmp_path):
    model = make_model(shape)
    write(model, tmp_path, "f32")
    path, ids = check.find_file(tmp_path), make_ids(model, 12)
    found = check.Graph(path, check._reference(path)).logits(ids)
    assert np.abs(found - reference(model, ids)).max() < 1e-4


def test_config_tells_transformers_js_the_file_and_the_shape_of_the_cache(tmp_path):
    notes = write(make_model("notebook"), tmp_path, "f16")
    config = json.loads((tmp_path / "config.json").read_bytes())
    assert config["transformers.js_config"] == {"dtype": "fp16"}
    assert (tmp_path / "onnx" / "model_fp16.onnx").is_file()
    assert config["model_type"] == "llama"
    assert "cache alone" in config["tinylm"]
    assert any("cache alone" in note for note in notes)


@pytest.mark.parametrize(("change", "dtype", "where", "word"), [
    ({"causal": False}, "f32", "model.causal", "future"),
    ({"d_model": 8192, "n_layers": 20, "n_heads": 64}, "f32", "--dtype", "1.8 GB"),
    ({"d_model": 2048, "n_layers": 12}, "f32", "--dtype", "--dtype f16"),
])
def test_refusals_name_the_setting_and_write_nothing(change, dtype, where, word, tmp_path):
    model = make_model("default")
    shape = ModelConfig(vocab_size=model.config.model.vocab_size, **change)
    large = ExportedModel("large", model.config.model_copy(update={"model": shape}), model.tokenizer, {})
    with pytest.raises(TinyLMError) as refusal:
        write(large, tmp_path, dtype)
    assert refusal.value.where == where
    assert word in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_a_weight_too_large_for_16_bits_is_refused_by_name(tmp_path):
    model = make_model("default")
    model.weights["embed.weight"][0, 0] = 1e6
    with pytest.raises(TinyLMError, match=r"embed\.weight"):
        write(model, tmp_path, "f16")
    assert not list(tmp_path.iterdir())
