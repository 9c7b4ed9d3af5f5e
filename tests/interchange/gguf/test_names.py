"""Names and layout of tensors in GGUF, there and back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.interchange.gguf.test_export import HELD
from tests.interchange.shapes import make_model
from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.interchange.architectures import find_architecture, with_zeros
from tinylm.interchange.gguf.names import check_tensors, from_gguf, to_gguf


@pytest.mark.parametrize("shape", HELD)
def test_tensors_come_back_as_they_went(shape: str) -> None:
    model = make_model(shape)
    held = find_architecture(model.config.model, "gguf")
    assert held.architecture == HELD[shape]
    ours = with_zeros(model.weights, held.config)
    theirs = to_gguf(ours, held.config, held.architecture)
    assert sum(array.size for array in theirs.values()) == sum(array.size for array in ours.values())
    back = from_gguf(theirs, held.config, held.architecture)
    assert back.keys() == ours.keys()
    assert all(np.array_equal(back[name], ours[name]) for name in ours)


def test_gpt2_with_fewer_key_heads_comes_back() -> None:
    config = ModelConfig.preset("gpt2", vocab_size=9, d_model=16, n_heads=4, n_kv_heads=2, n_layers=1)
    ours = {name: np.random.default_rng(0).standard_normal(array.shape).astype(np.float32)
            for name, array in with_zeros({}, config).items()}
    back = from_gguf(to_gguf(ours, config, "gpt2"), config, "gpt2")
    assert all(np.array_equal(back[name], ours[name]) for name in ours)


def test_missing_biases_are_zeros_and_other_tensors_are_asked_for() -> None:
    config = ModelConfig(vocab_size=9, d_model=16, n_heads=4, n_layers=1, qk_norm=False, bias=True)
    theirs = to_gguf(with_zeros({}, config), config, "qwen2")
    some = {name: array for name, array in theirs.items() if name != "blk.0.attn_output.bias"}
    assert not from_gguf(some, config, "qwen2")["layers.0.attn.o_proj.bias"].any()
    for changed, told in (({**theirs, "rope_freqs.weight": np.ones(2)}, "rope_freqs"),
                          ({**theirs, "output_norm.weight": np.ones(3)}, "shape"),
                          ({name: array for name, array in theirs.items() if "ffn_up.w" not in name}, "lacks")):
        with pytest.raises(TinyLMError, match=told):
            check_tensors({name: array.shape for name, array in changed.items()}, config, "qwen2")
