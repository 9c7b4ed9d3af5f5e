"""A model's weights, laid out for the engine: matrices in panels (tiles.py), everything else as it is.

    linear layer (O, I) -> float32 (O/16, I, 16), or bfloat16 (O/32, I, 16) in pairs: outputs o and o + 16 in one uint32

O outputs, filled up with zeros to whole panels   I inputs
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinylm.config import ModelConfig
from tinylm.generation.engine.memory import LAYER, MLPS, MODEL, address, room
from tinylm.generation.engine.tiles import BFLOAT16, FLOAT32, LANES

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]
"""Parameters by the names that they have in the torch module."""
Storage = Literal["float32", "bfloat16"]
KINDS: dict[str, int] = {"float32": FLOAT32, "bfloat16": BFLOAT16}


def weights_of(model: Any) -> Weights:
    """Those of a torch module that lies in memory; where it can, without a copy."""
    return {name: parameter.detach().float().cpu().contiguous().numpy() for name, parameter in model.named_parameters()}


class Layout:
    """The records of a model, and all memory that their addresses lie in.

    Attributes:
        model, layers: for kernels (memory.py).
        numbers: in the matrices, which every token reads.
    """

    def __init__(self, config: ModelConfig, weights: Weights, storage: Storage = "float32") -> None:
        self._weights, self._kind, self._kept = weights, KINDS[storage], list[NDArray[Any]]()
        self.numbers = 0
        self.model, self.layers = np.zeros(1, MODEL), np.zeros(config.n_layers, LAYER)
        with np.errstate(over="ignore"):  # a setting may be more than 32 bits hold: the logits then tell of it
            self._fill_model(self.model[0], config)
        for i in range(config.n_layers):
            self._fill_layer(self.layers[i], f"layers.{i}.")

    def _fill_model(self, model: Any, config: ModelConfig) -> None:
        for name in ("d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp", "vocab_size"):
            model[name] = getattr(config, name)
        model["mlp"], model["rotary"] = MLPS.index(config.mlp), config.positions == "rotary"
        model["post"], model["layernorm"] = config.norm_position == "post", config.norm == "layernorm"
        model["eps"], model["scale"] = config.norm_eps, 1 / math.sqrt(config.d_head)
        for name in ("embed", "positions", "ln_f"):
            model[name] = self._vector(f"{name}.weight")
        model["ln_f_bias"], model["head_bias"] = self._vector("ln_f.bias"), self._vector("out_head.bias")
        self._matrix(model["head"], "embed.weight" if config.tied_embeddings else "out_head.weight")

    def _fill_layer(self, layer: Any, place: str) -> None:
        for name in ("norm1", "norm2"):
            layer[name], layer[f"{name}_bias"] = (self._vector(f"{place}{name}.{part}") for part in ("weight", "bias"))
        for name in ("q_norm", "k_norm"):
            layer[name] = self._vector(f"{place}attn.{name}.weight")
        for name, parts in {"qkv": ("attn.q_proj", "attn.k_proj", "attn.v_proj"), "o": ("attn.o_proj",),
                            "up": ("mlp.up_proj",), "gate": ("mlp.gate_proj",), "down": ("mlp.down_proj",)}.items():
            if f"{place}{parts[0]}.weight" in self._weights:
                self._matrix(layer[name], *(f"{place}{part}.weight" for part in parts))
                layer[f"{name}_bias"] = self._vector(*(f"{place}{part}.bias" for part in parts))

    def _vector(self, *names: str) -> int:
        """The address of some parameters one after another; 0 where there are none."""
        if names[0] not in self._weights:
            return 0
        found = [self._weights[name] for name in names]
        self._kept.append(found[0] if len(found) == 1 else np.concatenate(found))
        return address(self._kept[-1])

    def _matrix(self, record: Any, *names: str) -> None:
        """One matrix of the outputs of all these."""
        whole = [self._weights[name] for name in names]
        panels = in_panels(whole[0] if len(whole) == 1 else np.concatenate(whole), self._kind)
        self._kept.append(panels)
        self.numbers += sum(matrix.size for matrix in whole)
        record["weights"], record["kind"] = address(panels), self._kind
        record["inputs"], record["panels"] = whole[0].shape[1], panels.shape[0] * (2 if self._kind == BFLOAT16 else 1)


def in_panels(matrix: Floats, kind: int) -> NDArray[Any]:
    """(O, I) -> panels of 16 outputs, or pairs of panels."""
    width = LANES * (2 if kind == BFLOAT16 else 1)
    outputs, inputs = matrix.shape
    panels = -(-outputs // width)
    if kind == FLOAT32:
        laid = room((panels, inputs, LANES), np.float32)
        whole = outputs // LANES
        laid[:whole] = matrix[:whole * LANES].reshape(whole, LANES, inputs).transpose(0, 2, 1)
        if whole < panels:
            laid[whole, :, :outputs - whole * LANES] = matrix[whole * LANES:].T
        return laid
    padded = np.zeros((panels * width, inputs), np.uint32)
    padded[:outputs] = rounded(matrix)
    low, high = padded.reshape(panels, 2, LANES, inputs).transpose(1, 0, 3, 2)
    pairs = room((panels, inputs, LANES), np.uint32)
    np.bitwise_or(low, high << 16, out=pairs)
    return pairs


def rounded(numbers: Floats) -> NDArray[np.uint32]:
    """bfloat16 bits of float32 numbers, to the nearest, halves to even."""
    bits = np.ascontiguousarray(numbers).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    nearest: NDArray[np.uint32] = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    return nearest


