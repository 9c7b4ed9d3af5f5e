"""The layout of a layer's weights, from the config alone: its linear maps with their axes, those that are stored as one
matrix, and the angles of rotary positions. Whoever computes with the weights (model, engine, training on the CPU) or
counts them (inspection, planning) reads these tables; nothing here imports torch.
"""

from __future__ import annotations

import math
from typing import Any

from tinylm.config.schema import ModelConfig

Axis = tuple[str, ...]
"""One axis of a tensor: the sizes whose product is its length, by their names in the config."""

RESIDUAL: Axis = ("d_model",)
QUERIES: Axis = ("n_heads", "d_head")
KEYS: Axis = ("n_kv_heads", "d_head")
HIDDEN: Axis = ("d_mlp",)

_LINEARS: dict[str, tuple[Axis, Axis]] = {
    "attn.q_proj": (QUERIES, RESIDUAL),
    "attn.k_proj": (KEYS, RESIDUAL),
    "attn.v_proj": (KEYS, RESIDUAL),
    "attn.o_proj": (RESIDUAL, QUERIES),
    "mlp.up_proj": (HIDDEN, RESIDUAL),
    "mlp.down_proj": (RESIDUAL, HIDDEN),
    "mlp.gate_proj": (HIDDEN, RESIDUAL),
}


def layer_linears(config: ModelConfig) -> dict[str, tuple[Axis, Axis]]:
    """The linear maps of a layer by their path in it, in the model's order: output axis and input axis.

    >>> layer_linears(ModelConfig(vocab_size=5))["attn.o_proj"]
    (('d_model',), ('n_heads', 'd_head'))
    """
    return {name: axes for name, axes in _LINEARS.items() if config.is_gated or name != "mlp.gate_proj"}


def fused_matrices(config: ModelConfig, *, gate_apart: bool = False) -> dict[str, tuple[str, ...]]:
    """The matrices of a layer where maps that read the same input are one product: name -> the maps whose rows are
    stacked in it, in this order.

    Args:
        gate_apart: the gate of a gated MLP is a matrix of its own, not the upper rows of `up`.

    >>> fused_matrices(ModelConfig(vocab_size=5))["up"]
    ('mlp.gate_proj', 'mlp.up_proj')
    """
    gate = ("mlp.gate_proj",) if config.is_gated else ()
    matrices = {"qkv": ("attn.q_proj", "attn.k_proj", "attn.v_proj"), "o": ("attn.o_proj",),
                "up": ("mlp.up_proj",), "down": ("mlp.down_proj",)}
    if gate:
        matrices |= {"gate": gate} if gate_apart else {"up": (*gate, "mlp.up_proj")}
    return matrices


def fused_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """The shapes (outputs, inputs) of `fused_matrices`.

    >>> fused_shapes(ModelConfig(vocab_size=5, d_model=64, n_heads=4, n_kv_heads=2))["qkv"]
    (128, 64)
    """
    return {name: (sum(axis_length(config, _LINEARS[part][0]) for part in parts),
                   axis_length(config, _LINEARS[parts[0]][1]))
            for name, parts in fused_matrices(config).items()}


def axis_length(config: ModelConfig, axis: Axis) -> int:
    """The product of the sizes that make up an axis."""
    return math.prod(getattr(config, size) for size in axis)


def addition_shapes(config: ModelConfig, rank: int) -> dict[str, tuple[int, ...]]:
    """The shapes of low-rank additions B A (lora.py) to the matrices inside the layers: those of A and B, by name.

    >>> list(addition_shapes(ModelConfig(vocab_size=5, d_model=8, n_heads=1, n_layers=1), rank=2).items())[:2]
    [('layers.0.attn.q_proj.a', (2, 8)), ('layers.0.attn.q_proj.b', (8, 2))]
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(config.n_layers):
        for linear, (outputs, inputs) in layer_linears(config).items():
            shapes[f"layers.{i}.{linear}.a"] = rank, axis_length(config, inputs)
            shapes[f"layers.{i}.{linear}.b"] = axis_length(config, outputs), rank
    return shapes


def rotary_angles(positions: Any, dimensions: Any, d_head: int, theta: Any) -> Any:
    """The angles by which rotary positions turn the pairs of a head, in radians (Su et al. 2021, arXiv 2104.09864):
    position * theta^(-dimension / d_head). Early pairs turn fast.

    Args:
        positions: (..., T), float32.
        dimensions: (K/2,) float32, the first dimension of each pair: 0, 2, 4, ... Both arrays are NumPy's or torch's.

    Returns:
        (..., T, K/2), of the arrays' kind.
    """
    return positions[..., None] * theta ** (-dimensions / d_head)
