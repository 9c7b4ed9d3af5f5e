"""Nodes of an ONNX graph: each method of `Nodes` adds one operator or a few, and returns the name of their output."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.system.extras import missing_extra

OPSET, IR_VERSION = 18, 8
"""The operators' version, and the file format's: ONNX Runtime reads both from 1.14 (2023) on."""
FLOAT, INT64 = 1, 7
"""Kinds of numbers by their codes in ONNX (TensorProto.DataType): 32-bit floats and 64-bit integers."""


def onnx_package() -> Any:
    """The package onnx. Raises: TinyLMError: it is not installed.

    >>> onnx_package().__name__
    'onnx'
    """
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise missing_extra("export", "ONNX") from None
    return onnx


class Nodes:
    """The nodes and constants of a graph under construction.

    Attributes:
        nodes: NodeProto, each after those whose outputs it reads.
        constants: TensorProto: weights, and the numbers that operators take as inputs.

    >>> nodes = Nodes()
    >>> nodes.reshape(nodes.transpose("x", 1, 0), 0, 4, -1)
    'Reshape_1'
    >>> [constant.name for constant in nodes.constants]
    ['integers (0, 4, -1)']
    """

    def __init__(self) -> None:
        self._helper, self._arrays = onnx_package().helper, onnx_package().numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: set[str] = set()

    def op(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Adds an operator with one output.

        Args:
            out: the name of its output; default: one that tells the operator and its number.
        """
        out = out or f"{kind}_{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(kind, list(inputs), [out], name=out, **attributes))
        return out

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Adds a constant array, once for each name."""
        if name not in self._names:
            self._names.add(name)
            self.constants.append(self._arrays.from_array(np.ascontiguousarray(values), name))
        return name

    def number(self, value: float) -> str:
        """Adds a float of 32 bits."""
        return self.constant(f"number {value!r}", np.asarray(value, np.float32))

    def integers(self, *values: int) -> str:
        """Adds a vector of whole numbers: axes, or a shape."""
        return self.constant(f"integers {values}", np.asarray(values, np.int64))

    def integer(self, value: int) -> str:
        """Adds a single whole number."""
        return self.constant(f"integer {value}", np.asarray(value, np.int64))

    def reshape(self, x: str, *shape: int) -> str:
        """The same numbers in another shape; 0 keeps the length of an axis, -1 takes what is left."""
        return self.op("Reshape", x, self.integers(*shape))

    def transpose(self, x: str, *axes: int) -> str:
        """The axes in another order."""
        return self.op("Transpose", x, perm=list(axes))

    def length(self, x: str, axis: int) -> str:
        """The length of an axis, as a single whole number."""
        return self.op("Gather", self.op("Shape", x), self.integer(axis))

    def unsqueeze(self, x: str, *axes: int) -> str:
        """New axes of length 1, at these places of the new shape."""
        return self.op("Unsqueeze", x, self.integers(*axes))
