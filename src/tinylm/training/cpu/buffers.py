"""Buffers for activations: allocated once for the largest batch, and viewed in the shape of the present one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor


class Buffer(NamedTuple):
    """A piece of memory seen twice: as `t` by torch, for matrix products, and as `a` by the kernels."""

    t: Tensor
    a: NDArray[Any]


def as_buffer(tensor: Tensor, *shape: int) -> Buffer:
    """Views a tensor as a buffer: bfloat16 as uint16, which NumPy has, and everything else as it is.

    Args:
        shape: in which the kernels see the tensor; none: as torch does.
    """
    plain = tensor.detach()
    array = (plain.view(torch.uint16) if plain.dtype == torch.bfloat16 else plain).numpy()
    return Buffer(plain, array.reshape(shape) if shape else array)


class BufferPool:
    """Buffers by name. The memory of a name is reused unless a larger shape is asked for than ever before."""

    def __init__(self) -> None:
        self._memory: dict[Hashable, Tensor] = {}

    def take(self, name: Hashable, shape: Sequence[int], parts: Sequence[int] = (), *, dtype: torch.dtype) -> Buffer:
        """The buffer of a name. Its numbers are whatever was there before.

        Args:
            shape: of the matrix, for torch.
            parts: the shape in which the kernels see it; none: the same.
        """
        count = torch.Size(shape).numel()
        if name not in self._memory or self._memory[name].numel() < count:
            self._memory[name] = torch.empty(count, dtype=dtype)
        return as_buffer(self._memory[name][:count].view(*shape), *parts)

    @property
    def n_bytes(self) -> int:
        """Bytes of all buffers."""
        return sum(memory.nbytes for memory in self._memory.values())


class SizeOnlyPool(BufferPool):
    """A pool that counts the bytes of buffers and allocates none."""

    def __init__(self) -> None:
        self._bytes: dict[Hashable, int] = {}

    def take(self, name: Hashable, shape: Sequence[int], parts: Sequence[int] = (), *,  # noqa: ARG002
             dtype: torch.dtype) -> Buffer:
        self._bytes[name] = max(self._bytes.get(name, 0), torch.Size(shape).numel() * dtype.itemsize)
        return NO_BUFFER

    @property
    def n_bytes(self) -> int:
        return sum(self._bytes.values())


NO_BUFFER = as_buffer(torch.empty(0, 0))
