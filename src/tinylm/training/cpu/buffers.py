"""Room for activations: made once for the largest batch, and looked at in the shape of the present one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor


class Buffer(NamedTuple):
    """The same numbers twice: as torch sees them, for matrix products, and as the kernels do."""

    t: Tensor
    a: NDArray[Any]


def as_buffer(tensor: Tensor, *shape: int) -> Buffer:
    """bfloat16 as uint16, which NumPy has, and everything else as it is.

    Args:
        shape: in which the kernels see it; none: as torch does.
    """
    plain = tensor.detach()
    array = (plain.view(torch.uint16) if plain.dtype == torch.bfloat16 else plain).numpy()
    return Buffer(plain, array.reshape(shape) if shape else array)


class BufferPool:
    """Rooms by name. One that has been asked for in a larger shape before is used again."""

    def __init__(self) -> None:
        self._memory: dict[Hashable, Tensor] = {}

    def take(self, name: Hashable, shape: Sequence[int], parts: Sequence[int] = (), *, dtype: torch.dtype) -> Buffer:
        """
        Args:
            shape: as matrices, for torch.
            parts: as what they consist of, for the kernels; none: the same.
        """
        count = torch.Size(shape).numel()
        if name not in self._memory or self._memory[name].numel() < count:
            self._memory[name] = torch.empty(count, dtype=dtype)
        return as_buffer(self._memory[name][:count].view(*shape), *parts)

    @property
    def n_bytes(self) -> int:
        """Of all rooms."""
        return sum(memory.nbytes for memory in self._memory.values())


class SizeOnlyPool(BufferPool):
    """Counts what rooms would take, and makes none."""

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
