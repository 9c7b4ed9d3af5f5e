"""Architectures: which holds which shape, and what a refusal names."""

from __future__ import annotations

import numpy as np
import pytest

from tests.interchange.shapes import SHAPES
from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.architectures import find_architecture, with_zeros

HELD = {  # shape -> architecture in transformers, in llama.cpp; the setting that is refused in capitals
    "default": ("qwen3", "qwen3"),
    "narrow heads": ("qwen3", "qwen3"),
    "wide heads": ("qwen3", "qwen3"),
    "GQA": ("qwen3", "qwen3"),
    "MQA": ("qwen3", "qwen3"),
    "tied": ("qwen3", "qwen3"),
    "another theta": ("qwen3", "qwen3"),
    "llama": ("llama", "llama"),
    "llama with biases": ("llama", "llama"),
    "gpt2": ("gpt2", "gpt2"),
    "gpt2 untied": ("gpt2", "gpt2"),
    "gpt2 without biases": ("gpt2", "gpt2"),
    "gpt2 without positions": ("gpt2", "gpt2"),
    "gpt2 with relu": ("gpt2", "MLP"),
    "squared ReLU": ("arcee", "arcee"),
    "squared ReLU with QK-norm": ("MLP", "MLP"),
    "GELU and RMSNorm": ("arcee", "MLP"),
    "LayerNorm, rotary and GELU": ("starcoder2", "starcoder2"),
    "QK-norm with biases": ("BIAS", "BIAS"),
    "notebook": ("NORM_POSITION", "NORM_POSITION"),
}


def shape(**chosen):
    return ModelConfig(**{"vocab_size": 11, "d_model": 32, "n_heads": 4, "n_layers": 2, "context_length": 8, **chosen})


def test_every_shape_is_told_of():
    assert HELD.keys() == SHAPES.keys()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("target", ["hf", "gguf"])
def test_the_architecture_of_a_shape(name, target):
    expected = HELD[name][target == "gguf"]
    if expected.islower():
        assert find_architecture(shape(**SHAPES[name]), target).architecture == expected
    else:
        with pytest.raises(TinyLMError) as error:
            find_architecture(shape(**SHAPES[name]), target)
        assert f"model.{expected.lower()}" in error.value.where
        assert "--to onnx" in error.value.remedy


LEARNED = {"norm": "layernorm", "positions": "learned", "qk_norm": False, "mlp": "gelu"}
REFUSED = [  # target, shape, settings that are named, the way out
    ("hf", {"positions": "none"}, "model.positions", "--to onnx"),
    ("hf", {"norm": "layernorm"}, "model.norm", "--to onnx"),
    ("hf", {"head_bias": True}, "model.head_bias", "--to onnx"),
    ("hf", {**LEARNED, "n_kv_heads": 2}, "model.n_kv_heads", "--to gguf or --to onnx"),
    ("hf", {**LEARNED, "d_head": 12}, "model.d_head", "--to onnx"),
    ("hf", {**LEARNED, "mlp": "swiglu"}, "model.mlp", "--to onnx"),
    ("hf", {"qk_norm": False, "n_heads": 3, "d_head": 8}, "model.n_heads", "--to gguf or --to onnx"),
    ("gguf", {**LEARNED, "mlp": "relu"}, "model.mlp", "--to hf or --to onnx"),
    ("gguf", {"qk_norm": False, "mlp": "squared_relu", "bias": True}, "model.bias", "--to hf or --to onnx"),
    ("gguf", {"qk_norm": False, "norm": "layernorm", "mlp": "gelu", "d_head": 16}, "model.d_head",
     "--to hf or --to onnx"),
    ("gguf", {"n_layers": 0}, "model.n_layers", "--to hf or --to onnx"),
    ("gguf", {"norm_position": "post", "head_bias": True}, "model.norm_position, model.head_bias", "--to onnx"),
    ("gguf", {"causal": False}, "model.causal", "model.causal=true"),
]


@pytest.mark.parametrize(("target", "chosen", "where", "remedy"), REFUSED)
def test_a_refusal_names_the_setting_and_the_format_that_can(target, chosen, where, remedy):
    with pytest.raises(TinyLMError) as error:
        find_architecture(shape(**chosen), target)
    assert error.value.where == where
    assert error.value.remedy.endswith(remedy)


def test_the_sentence_of_a_refusal():
    with pytest.raises(TinyLMError) as error:
        find_architecture(shape(mlp="squared_relu"), "gguf")
    assert str(error.value) == (
        "model.mlp: no architecture of llama.cpp computes this model: the nearest, qwen3, does not have mlp "
        "squared_relu. Choose another format: --to onnx.")


@pytest.mark.parametrize("name", [name for name, held in HELD.items() if held[0].islower()])
def test_zeros_stand_for_the_tensors_that_a_model_lacks(name):
    own = shape(**SHAPES[name])
    held = find_architecture(own, "hf")
    weights = {tensor.name: np.ones(tensor.shape, np.float32) for tensor in parameter_table(own)}
    complete = with_zeros(weights, held.config)
    assert [(name, array.shape) for name, array in complete.items()] == [
        (tensor.name, tensor.shape) for tensor in parameter_table(held.config)]
    assert {name for name, array in complete.items() if array.all()} == weights.keys()
    assert not any(array.any() for name, array in complete.items() if name not in weights)
    assert (complete.keys() == weights.keys()) == (held.config == own)
