"""First weights: one function, one table. A parameter that the table does not know is an error.

| parameter                | "scaled" (default)            | "torch" (as the notebook's modules)       |
|--------------------------|-------------------------------|-------------------------------------------|
| embed, learned positions | normal, std 0.02              | normal, std 1                             |
| q, k, v projections      | normal, std 0.5/sqrt(fan in)  | uniform within sqrt(6/(fan in + fan out)) |
| up, gate projections     | normal, std 0.5/sqrt(fan in)  | uniform within 1/sqrt(fan in)             |
| o, down projections      | zero: a layer begins as the identity | uniform within 1/sqrt(fan in)      |
| out_head                 | zero: all tokens begin equally likely | uniform within 1/sqrt(fan in)     |
| biases                   | zero                          | zero in attention, else as their matrix   |
| norms                    | weight 1, bias 0              | weight 1, bias 0                          |
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tinylm.config.schema import ModelConfig
from tinylm.model.layout import axis_length, layer_linears

_NORMS = ("norm1", "norm2", "ln_f", "q_norm", "k_norm")
_QKV = ("q_proj", "k_proj", "v_proj")


def init_weights(model: nn.Module, seed: int) -> None:
    """Fills every parameter in place, from a generator seeded with `seed`; torch's global random state is left alone.

    Args:
        model: a `TinyLM`; its config names the column of the table.
    """
    config: ModelConfig = model.config  # type: ignore[assignment]
    generator = torch.Generator().manual_seed(seed)
    fill = _fill_as_torch if config.init == "torch" else _fill_scaled
    fan_in = _fan_in(config)
    for name, parameter in model.named_parameters():
        module, kind = name.split(".")[-2:]
        with torch.no_grad():
            fill(parameter, module, kind, fan_in.get(module, 0), generator)


def _fan_in(config: ModelConfig) -> dict[str, int]:
    """The number of inputs of each linear map, by the last part of its name."""
    inside = {path.split(".")[-1]: axis_length(config, inputs) for path, (_, inputs) in layer_linears(config).items()}
    return {**inside, "out_head": config.d_model}


def _fill_scaled(parameter: Tensor, module: str, kind: str, fan_in: int, generator: torch.Generator) -> None:
    if module in _NORMS:
        parameter.fill_(1.0 if kind == "weight" else 0.0)
    elif module in ("embed", "positions"):
        parameter.normal_(0.0, 0.02, generator=generator)
    elif kind == "bias" or module in ("o_proj", "down_proj", "out_head"):
        parameter.zero_()
    elif fan_in:
        parameter.normal_(0.0, 0.5 / math.sqrt(fan_in), generator=generator)
    else:
        raise AssertionError(f"no rule for the first value of {module}.{kind}")


def _fill_as_torch(parameter: Tensor, module: str, kind: str, fan_in: int, generator: torch.Generator) -> None:
    if module in _NORMS:
        parameter.fill_(1.0 if kind == "weight" else 0.0)
    elif module in ("embed", "positions"):
        parameter.normal_(0.0, 1.0, generator=generator)
    elif module in (*_QKV, "o_proj") and kind == "bias":
        parameter.zero_()
    elif module in _QKV:
        # nn.MultiheadAttention draws q, k and v as one (3D, D) Xavier matrix.
        bound = math.sqrt(6 / (fan_in + 3 * parameter.shape[0]))
        parameter.uniform_(-bound, bound, generator=generator)
    elif fan_in:
        bound = 1 / math.sqrt(fan_in)
        parameter.uniform_(-bound, bound, generator=generator)
    else:
        raise AssertionError(f"no rule for the first value of {module}.{kind}")
