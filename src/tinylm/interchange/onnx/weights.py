"""Weights in an ONNX graph: constants under tinylm's names and in its shapes, in the number format of the file.

Matrices lie in the file in 32 bits, in 16, or in 8 bits with a scale for each 32 numbers of a row, and the graph turns
them into 32 bits; a program may fold that into constants as it opens the file. Vectors and learned positions stay in 32
bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import ParameterTensor, parameter_table
from tinylm.interchange.onnx.nodes import FLOAT, Nodes
from tinylm.interchange.rounding import BLOCK_LENGTH, round_to_8_bits, stored_dtype
from tinylm.interchange.source import Dtype
from tinylm.model.tensors import Weights


class WeightNodes:
    """The weights of a graph, added as they are asked for.

    Args:
        nodes: of the graph.
        weights: by tinylm's names.
        dtype: of matrices in the file.

    >>> weights = WeightNodes(Nodes(), {"ln_f.weight": np.ones(4, np.float32)}, "f16")
    >>> weights.get("ln_f.weight"), weights.has("ln_f.bias")
    ('ln_f.weight', False)
    """

    def __init__(self, nodes: Nodes, weights: Weights, dtype: Dtype) -> None:
        self._nodes, self._weights, self._dtype = nodes, weights, dtype
        self._found: dict[str, str] = {}

    def has(self, name: str) -> bool:
        """True if the model has this tensor."""
        return name in self._weights

    def get(self, name: str) -> str:
        """A tensor in 32 bits."""
        if name not in self._found:
            self._found[name] = self._add(name, self._weights[name])
        return self._found[name]

    def _add(self, name: str, values: NDArray[np.float32]) -> str:
        nodes, dtype = self._nodes, stored_dtype(name, values.shape, self._dtype)
        if dtype == "f32":
            return nodes.constant(name, values)
        if dtype == "f16":
            return nodes.op("Cast", nodes.constant(name, _as_f16(name, values)), to=FLOAT)
        scales, whole = quantize(name, values)
        factors = (nodes.op("Cast", nodes.constant(part, array), to=FLOAT)
                   for part, array in ((name, whole), (f"{name} scales", scales)))
        return nodes.reshape(nodes.op("Mul", *factors), *values.shape)


def file_bytes(config: ModelConfig, dtype: Dtype) -> int:
    """The bytes of all weights in the file.

    >>> shape = ModelConfig(vocab_size=50)
    >>> file_bytes(shape, "f16") < file_bytes(shape, "f32")
    True
    """
    return sum(math.ceil(tensor.count * _bytes_each(tensor, dtype)) for tensor in parameter_table(config))


def _bytes_each(tensor: ParameterTensor, dtype: Dtype) -> float:
    return {"f32": 4, "f16": 2, "q8_0": 1 + 2 / BLOCK_LENGTH}[stored_dtype(tensor.name, tensor.shape, dtype)]


def quantize(name: str, values: NDArray[np.float32]) -> tuple[NDArray[np.float16], NDArray[np.int8]]:
    """A matrix (out, in) in 8 bits: scales (out, in/32, 1) and whole numbers (out, in/32, 32).

    Raises:
        TinyLMError: a number is too large.

    >>> scales, whole = quantize("w", np.float32([[254, -1] + [0] * 30]))
    >>> scales[0, 0, 0], whole[0, 0, :2]
    (np.float16(2.0), array([127,  -1], dtype=int8))
    """
    scales, whole = round_to_8_bits(values)
    shape = (len(values), -1)
    return _as_f16(name, scales.reshape(*shape, 1)), whole.reshape(*shape, BLOCK_LENGTH)


def _as_f16(name: str, values: NDArray[np.float32]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise TinyLMError(f"{name} holds numbers that are too large for 16 bits", where="--dtype",
                          remedy="Choose --dtype f32")
    return rounded
