"""A model's weights as the engine reads them: matrices in packed panels, everything else as it is.

    linear layer (O, I) -> float32, or int8 with a scale for each output: (O/16, I, 16)
                           bfloat16, the outputs o and o + 16 in one uint32: (O/32, I, 16)

O outputs, padded with zeros to whole panels   I inputs
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig, WeightDtype
from tinylm.engine.micro_kernel import BFLOAT16, FLOAT32, INT8, INTERLEAVED
from tinylm.engine.records import LAYER, MLPS, MODEL
from tinylm.jit.arrays import address_of, aligned_zeros, round_up
from tinylm.jit.llvm import LANES
from tinylm.model.layout import fused_matrices
from tinylm.model.tensors import Weights

Floats = NDArray[np.float32]
KINDS: dict[WeightDtype, int] = {"fp32": FLOAT32, "bf16": BFLOAT16, "int8": INT8}


class PackedWeights:
    """The records of a model, and all memory that their addresses lie in.

    Args:
        weights: parameters by name, as in the torch module. Each is taken out as it is packed, so that no two copies of
            all are in memory; whoever goes on with them gives a copy of the dictionary. `unpack` gives them back.
        weight_dtype: the number format of the matrices.

    Attributes:
        model, layers: records for kernels (records.py).
        n_weights: in the matrices, which every token reads.
    """

    def __init__(self, config: ModelConfig, weights: Weights, weight_dtype: WeightDtype = "fp32") -> None:
        self._weights, self._kind, self._buffers = weights, KINDS[weight_dtype], list[NDArray[Any]]()
        self._rows: dict[str, tuple[NDArray[Any], int, int]] = {}
        self.n_weights = 0
        self.model, self.layers = np.zeros(1, MODEL), np.zeros(config.n_layers, LAYER)
        with np.errstate(over="ignore"):  # a setting may exceed 32 bits: the logits are then not finite, which is told
            self._fill_model(self.model[0], config)
        for i in range(config.n_layers):
            self._fill_layer(self.layers[i], config, f"layers.{i}.")
        weights.clear()

    def _fill_model(self, model: Any, config: ModelConfig) -> None:
        for name in ("d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp", "vocab_size"):
            model[name] = getattr(config, name)
        model["mlp"], model["rotary"] = MLPS.index(config.mlp), config.positions == "rotary"
        model["post"], model["layernorm"] = config.norm_position == "post", config.norm == "layernorm"
        model["eps"], model["scale"] = config.norm_eps, 1 / math.sqrt(config.d_head)
        self._pack_matrix(model["head"], "embed.weight" if config.tied_embeddings else "out_head.weight")
        model["embed"], model["position_table"] = self._vector("embed.weight"), self._vector("positions.weight")
        model["ln_f"], model["ln_f_bias"] = self._vector("ln_f.weight"), self._vector("ln_f.bias")
        model["head_bias"] = self._vector("out_head.bias")

    def _fill_layer(self, layer: Any, config: ModelConfig, prefix: str) -> None:
        for name in ("norm1", "norm2"):
            layer[name], layer[f"{name}_bias"] = (self._vector(f"{prefix}{name}.{part}") for part in ("weight", "bias"))
        for name in ("q_norm", "k_norm"):
            layer[name] = self._vector(f"{prefix}attn.{name}.weight")
        for name, parts in fused_matrices(config, gate_apart=True).items():
            self._pack_matrix(layer[name], *(f"{prefix}{part}.weight" for part in parts))
            layer[f"{name}_bias"] = self._vector(*(f"{prefix}{part}.bias" for part in parts))
        # A half is what one of two workers computes by itself, where that can be: heads, and interleaved panels
        heads = config.n_kv_heads // 2 * (config.n_heads // config.n_kv_heads)
        layer["o"]["cut"] = heads * config.d_head or layer["o"]["inputs"] // 2
        together = INTERLEAVED[self._kind]
        layer["down"]["cut"] = layer["up"]["panels"] // together // 2 * together * LANES or layer["down"]["inputs"] // 2

    def _vector(self, *names: str) -> int:
        """The address of some parameters one after another; 0 where there are none."""
        if names[0] not in self._weights:
            return 0
        found = self._taken(names)
        whole = found[0] if len(found) == 1 else np.concatenate(found)
        self._note_rows(whole, names, found)
        return self._keep(whole)

    def _pack_matrix(self, record: Any, *names: str) -> None:
        """Packs matrices that read the same inputs as one, and fills its record."""
        parts, kind = self._taken(names), self._kind
        whole: NDArray[Any] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if kind == INT8:
            whole, scales = quantised(whole)
            record["scales"] = self._keep(padded(scales, LANES))
        panels = in_panels(whole, kind)
        self._note_rows(panels, names, parts)
        self.n_weights += whole.size
        record["weights"], record["kind"] = self._keep(panels), kind
        record["inputs"], record["panels"] = whole.shape[1], len(panels) * INTERLEAVED[kind]

    def _taken(self, names: Sequence[str]) -> list[Floats]:
        """Parameters, which leave the dictionary; the embedding, which may be the head, too, stays to the end."""
        return [self._weights[name] if name == "embed.weight" else self._weights.pop(name) for name in names]

    def _note_rows(self, packed: NDArray[Any], names: Sequence[str], parts: Sequence[Floats]) -> None:
        """Notes which rows of a packed array are which parameter's."""
        starts = [0, *accumulate(map(len, parts))]
        self._rows |= {name: (packed, *span) for name, span in zip(names, pairwise(starts), strict=True)}

    def unpack(self) -> Weights:
        """The parameters that were packed as fp32, as new arrays."""
        assert self._kind == FLOAT32
        return {name: from_panels(packed, start, stop) if packed.ndim == 3 else packed[start:stop].copy()
                for name, (packed, start, stop) in self._rows.items()}

    def _keep(self, array: NDArray[Any]) -> int:
        """Keeps an array as long as this object, and returns its address."""
        self._buffers.append(array)
        return address_of(array)


def in_panels(matrix: NDArray[Any], kind: int) -> NDArray[Any]:
    """Packs a matrix (O, I) into panels of 16 outputs, or interleaved pairs of panels.

    Args:
        matrix: float32; for int8 already of that type.
    """
    inputs = matrix.shape[1]
    if kind == BFLOAT16:
        low, high = padded(rounded(matrix), 2 * LANES).reshape(-1, 2, LANES, inputs).transpose(1, 0, 3, 2)
        pairs = aligned_zeros((len(low), inputs, LANES), np.uint32)
        np.bitwise_or(low, high << 16, out=pairs)
        return pairs
    outputs, whole = len(matrix), len(matrix) // LANES
    panels = aligned_zeros((round_up(outputs, LANES) // LANES, inputs, LANES), matrix.dtype)
    panels[:whole] = matrix[:whole * LANES].reshape(whole, LANES, inputs).transpose(0, 2, 1)
    if whole < len(panels):
        panels[whole, :, :outputs - whole * LANES] = matrix[whole * LANES:].T
    return panels


def from_panels(panels: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    """The outputs from `start` up to `stop` of panels that are not interleaved, as a matrix (stop - start, I).

    >>> matrix = np.arange(34 * 3, dtype=np.float32).reshape(34, 3)
    >>> bool((from_panels(in_panels(matrix, FLOAT32), 5, 33) == matrix[5:33]).all())
    True
    """
    first = start // LANES
    rows = panels[first:round_up(stop, LANES) // LANES].transpose(0, 2, 1).reshape(-1, panels.shape[1])
    return rows[start - first * LANES:stop - first * LANES].copy()


def padded(array: NDArray[Any], step: int) -> NDArray[Any]:
    """Pads an array with rows of zeros up to a multiple of `step`."""
    wide = aligned_zeros((round_up(len(array), step), *array.shape[1:]), array.dtype)
    wide[:len(array)] = array
    return wide


def quantised(matrix: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Rounds a matrix (O, I) to int8, symmetrically and output by output, as in LLM.int8() (arXiv 2208.07339).

    Returns:
        whole numbers from -127 to 127 (O, I), and a scale for each output (O,): their product is nearly the matrix. The
        scale of an output that is not finite is not finite either, so the engine reports it as ever.
    """
    scales = np.abs(matrix).max(axis=1) / np.float32(127)
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.rint(matrix / scales[:, None])
    return np.nan_to_num(steps, nan=0.0, posinf=0.0, neginf=0.0).astype(np.int8), scales


def rounded(numbers: Floats) -> NDArray[np.uint32]:
    """The bits of the nearest bfloat16 of float32 numbers, halves to even."""
    bits = np.ascontiguousarray(numbers).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    nearest: NDArray[np.uint32] = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    return nearest
