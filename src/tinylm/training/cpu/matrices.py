"""The matrices of a model as training on a CPU multiplies them: in 32 bits packed, by packed_matmul.py; in bfloat16 by
torch, whose library knows the instructions for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinylm.training.cpu import packed_matmul
from tinylm.training.cpu.buffers import NO_BUFFER, Buffer, BufferPool, as_buffer
from tinylm.training.cpu.micro_kernel import TALL_ROWS
from tinylm.training.cpu.packed_matmul import BLOCK, WIDTH, panels

Floats = NDArray[np.float32]
_NOTHING = np.zeros((0, 0, WIDTH), np.float32)


class Scratch:
    """The memory in which one core multiplies.

    Args:
        widest: the most inputs of a matrix whose gradient is wanted; 0: none is.
    """

    def __init__(self, pool: BufferPool, dtype: torch.dtype, widest: int) -> None:
        self.dtype = dtype
        self.edge = pool.take("edge", (TALL_ROWS, WIDTH), dtype=torch.float32).a
        blocks = (panels(widest) if dtype == torch.float32 else 0, BLOCK, WIDTH)
        self.packed = pool.take("packed", blocks, dtype=torch.float32).a
        self._products = dict[torch.Size, Tensor]()

    def product(self, shape: torch.Size) -> Tensor:
        """A matrix of a shape in the precision of the run. Its numbers are whatever was there before."""
        if shape not in self._products:
            self._products[shape] = torch.empty(shape, dtype=self.dtype)
        return self._products[shape]


class Matrix(Protocol):
    """A matrix (outputs, inputs), or several that read the same input, one below the other."""

    def refresh(self) -> None:
        """Copies the parameters anew."""

    def multiply(self, x: Buffer, out: Buffer, scratch: Scratch) -> None:
        """Computes out (N, outputs) = x (N, inputs) @ the transpose of the matrix."""

    def multiply_backward(self, dy: Buffer, dx: Buffer, scratch: Scratch) -> None:
        """Computes dx (N, inputs) = dy (N, outputs) @ the matrix."""


class PackedMatrix:
    """A matrix in 32 bits.

    Args:
        parameters: (outputs, inputs) each, one below the other.
        backward: false: `multiply_backward` is never called.
    """

    def __init__(self, parameters: Sequence[Tensor], *, backward: bool) -> None:
        outputs, inputs = sum(map(len, parameters)), parameters[0].shape[1]
        self._originals = [as_buffer(parameter).a for parameter in parameters]
        self._forward = np.zeros((panels(outputs), inputs, WIDTH), np.float32)
        self._backward = np.zeros((panels(inputs), outputs, WIDTH), np.float32) if backward else _NOTHING

    def refresh(self) -> None:
        first = 0
        for original in self._originals:
            packed_matmul.pack(original, first, self._forward, self._backward)
            first += len(original)

    def multiply(self, x: Buffer, out: Buffer, scratch: Scratch) -> None:
        packed_matmul.multiply(_rows(x), self._forward, _rows(out), scratch.edge)

    def multiply_backward(self, dy: Buffer, dx: Buffer, scratch: Scratch) -> None:
        packed_matmul.multiply(_rows(dy), self._backward, _rows(dx), scratch.edge)


class LowPrecisionMatrix:
    """A matrix in bfloat16. Arguments as of `PackedMatrix`."""

    def __init__(self, parameters: Sequence[Tensor], dtype: torch.dtype) -> None:
        rows = [len(parameter) for parameter in parameters]
        self._whole = torch.empty(sum(rows), parameters[0].shape[1], dtype=dtype)
        self._copies, self._originals = self._whole.split(rows), parameters

    def refresh(self) -> None:
        torch._foreach_copy_(list(self._copies), list(self._originals))

    def multiply(self, x: Buffer, out: Buffer, scratch: Scratch) -> None:  # noqa: ARG002
        torch.mm(x.t, self._whole.t(), out=out.t)

    def multiply_backward(self, dy: Buffer, dx: Buffer, scratch: Scratch) -> None:  # noqa: ARG002
        torch.mm(dy.t, self._whole, out=dx.t)


def add_gradient(dy: Buffer, x: Buffer, gradient: Buffer, scratch: Scratch) -> None:
    """Adds dy^T x to the gradient (outputs, inputs) of a matrix, for dy (N, outputs) and x (N, inputs). A frozen matrix
    has no gradient."""
    if gradient is NO_BUFFER:
        return
    if scratch.dtype == torch.float32:
        packed_matmul.add_gradient(_rows(dy), _rows(x), gradient.a, scratch.packed, scratch.edge)
        return
    product = scratch.product(gradient.t.shape)
    torch.mm(dy.t.t(), x.t, out=product)
    gradient.t.add_(product)


def odd_polynomial(x: Tensor, a: float, b: float, c: float) -> Tensor:
    """The `odd_polynomial` of training/optimizer.py, in 32 bits by packed products."""
    _, rows, columns = x.shape
    out = torch.empty(x.shape)
    scratch = [np.zeros(shape, np.float32) for shape in (
        (panels(rows), columns, WIDTH), (panels(columns), rows, WIDTH), (panels(rows), rows, WIDTH), (2, rows, rows),
        (TALL_ROWS, WIDTH))]
    packed_matmul.odd_polynomial(x.contiguous().numpy(), np.float32(a), np.float32(b), np.float32(c), out.numpy(),
                                 *scratch)
    return out


def _rows(buffer: Buffer) -> Floats:
    """The buffer as a matrix, a row a token."""
    return buffer.a.reshape(buffer.t.shape)
