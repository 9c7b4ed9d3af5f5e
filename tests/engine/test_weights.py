"""Packed weights: every parameter once in memory, and the way back."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import tinylm
from tests.interchange.shapes import SHAPES, make_model
from tinylm.engine.weights import PackedWeights
from tinylm.generation.loaded_model import LoadedModel


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_packed_comes_back(shape):
    model = make_model(shape, "bpe")
    packed = PackedWeights(model.config.model, dict(model.weights))
    back = packed.unpack()
    assert back.keys() == model.weights.keys()
    assert all(np.array_equal(back[name], array) for name, array in model.weights.items())


@pytest.mark.parametrize("tied", [True, False])
def test_a_matrix_is_let_go_as_it_is_packed(tied):
    model = make_model("tied" if tied else "default")
    weights = {name: array.copy() for name, array in model.weights.items()}
    matrices = [weakref.ref(array) for name, array in weights.items() if "proj" in name or "head" in name]
    packed = PackedWeights(model.config.model, weights)
    gc.collect()
    assert weights == {}
    assert not any(matrix() is not None for matrix in matrices)
    assert packed.n_weights > 0


def test_the_engine_takes_the_weights_over_and_gives_them_back():
    model = make_model("llama", "bpe")
    lm = tinylm.LanguageModel(model.config, model.tokenizer, weights=model.weights)
    written = lm.generate("the cat", greedy=True, max_tokens=5)
    assert lm.served_by == "engine"
    for name, parameter in lm.model.named_parameters():
        assert np.array_equal(parameter.detach().numpy(), model.weights[name]), name
    assert lm.served_by == "engine"
    assert lm.generate("the cat", greedy=True, max_tokens=5) == written
    lm.model.ln_f.weight.data *= 2
    assert lm.served_by == "torch"
    assert model.weights.keys() == {name for name, _ in lm.model.named_parameters()}


@pytest.mark.parametrize("weight_dtype", ["bf16", "int8"])
def test_the_module_has_all_bits_whatever_the_engine_keeps(weight_dtype):
    model = make_model("default")
    loaded = LoadedModel(model.config.model, weights=model.weights, weight_dtype=weight_dtype)
    assert loaded.engine is not None
    assert all(np.array_equal(parameter.detach().numpy(), model.weights[name])
               for name, parameter in loaded.module.named_parameters())
