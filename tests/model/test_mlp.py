"""What an MLP computes, written out once more with its own weights."""

from __future__ import annotations

import math

import pytest
import torch

from tinylm.config.schema import ModelConfig

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
