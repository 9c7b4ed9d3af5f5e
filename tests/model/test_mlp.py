"""An MLP computes what its formula says, written out once more with its own weights."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from tinylm.config.schema import ModelConfig
from tinylm.engine import records
from tinylm.model import transformer
from tinylm.model.transformer import TinyLM
from tinylm.planning.memory_model import saved_bytes_per_token
from tinylm.training.cpu import activations

ACTIVATIONS = {
    "relu": lambda x: max(x, 0.0),
    "squared_relu": lambda x: max(x, 0.0) ** 2,
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "swiglu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_it_widens_activates_and_narrows(make_model, kind):
    config = ModelConfig(vocab_size=3, d_model=4, n_layers=1, n_heads=1, d_mlp=6, mlp=kind, bias=True)
    mlp = make_model(config).layers[0].mlp
    x = torch.tensor([[[1.0, -2.0, 3.0, 0.5]]])
    up = mlp.up_proj.weight @ x[0, 0] + mlp.up_proj.bias
    if kind == "swiglu":
        gate = mlp.gate_proj.weight @ x[0, 0] + mlp.gate_proj.bias
        hidden = torch.tensor([ACTIVATIONS[kind](value) for value in gate.tolist()]) * up
    else:
        gate, hidden = up, torch.tensor([ACTIVATIONS[kind](value) for value in up.tolist()])
    assert gate.min() < -0.1 < 0.1 < gate.max(), "both sides of zero"
    torch.testing.assert_close(mlp(x)[0, 0], mlp.down_proj.weight @ hidden + mlp.down_proj.bias)


def test_an_activation_is_known_wherever_one_is_computed_or_counted():
    """Names in the config, the module, the CPU's training, the engine and the memory model: the same everywhere."""
    names = set(get_args(ModelConfig.model_fields["mlp"].annotation))
    for known in (ACTIVATIONS, transformer.ACTIVATIONS, activations.ACTIVATIONS, records.MLPS):
        assert set(known) == names
    for name in names:
        config = ModelConfig(vocab_size=3, mlp=name)
        assert saved_bytes_per_token(config, 8) > 0
        assert config.is_gated == any("gate_proj" in parameter for parameter in TinyLM(config).state_dict())
