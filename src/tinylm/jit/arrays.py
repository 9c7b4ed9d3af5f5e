"""Arrays whose addresses kernels are given: aligned to a page of memory, and rounded up to whole vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import DTypeLike, NDArray

PAGE_BYTES = 4096
"""Alignment of `aligned_zeros`. A vector needs 64; but with matrices that begin in the midst of a page, two cores took
22 to 28 microseconds for a token of a model of 0.8M, as chance would have it, and with these 22 to 24."""


@register_jitable(error_model="numpy")
def round_up(count: int, step: int) -> int:
    """The smallest multiple of `step` that is at least `count`. Callable from Python and from kernels.

    >>> round_up(17, 16), round_up(32, 16)
    (32, 32)
    """
    return (count + step - 1) // step * step


def aligned_zeros(shape: tuple[int, ...], kind: DTypeLike) -> NDArray[Any]:
    """An array of zeros that begins with a page of memory. Pages that nobody writes take no memory.

    >>> aligned_zeros((3, 16), np.float32).ctypes.data % PAGE_BYTES
    0
    """
    size = math.prod(shape) * np.dtype(kind).itemsize
    raw = np.zeros(size + PAGE_BYTES, np.uint8)
    start = -raw.ctypes.data % PAGE_BYTES
    return raw[start:start + size].view(kind).reshape(shape)


def address_of(array: NDArray[Any] | None) -> int:
    """The address of an array's first number, good as long as the array is; 0 for None."""
    return 0 if array is None else array.ctypes.data
