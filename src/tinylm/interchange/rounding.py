"""Rounding of matrices to 8 bits, in blocks of 32 numbers with a scale each: llama.cpp's Q8_0, as the exports to GGUF,
ONNX and HTML hold it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinylm.interchange.source import Dtype

BLOCK_LENGTH = 32
"""Numbers of a row that share a scale."""


def round_to_8_bits(numbers: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Blocks whose largest magnitude becomes 127; halves are rounded away from zero, as C's roundf does.

    Args:
        numbers: (..., row); a row is a multiple of `BLOCK_LENGTH`.

    Returns:
        scales (blocks, 1), and whole numbers (blocks, 32), which times the scales are near the numbers.

    >>> scales, whole = round_to_8_bits(np.float32([[254, -1] + [0] * 30]))
    >>> scales, whole[0, :2]
    (array([[2.]], dtype=float32), array([127,  -1], dtype=int8))
    """
    blocks = numbers.reshape(-1, BLOCK_LENGTH)
    scales: NDArray[np.float32] = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(divide="ignore", over="ignore"):
        scaled = blocks * np.where(scales == 0, np.float32(0), np.float32(1) / scales)
    whole = np.trunc(scaled)
    return scales, (whole + np.trunc(2 * (scaled - whole))).astype(np.int8)


def stored_dtype(name: str, shape: tuple[int, ...], dtype: Dtype) -> Dtype:
    """The format of a tensor in a file whose matrices are to have `dtype`. A row that is not cut into whole blocks
    takes 16 bits instead of 8.

    >>> stored_dtype("embed.weight", (50, 40), "q8_0"), stored_dtype("ln_f.weight", (40,), "q8_0")
    ('f16', 'f32')
    """
    if len(shape) == 1 or name == "positions.weight":
        return "f32"
    return "f16" if dtype == "q8_0" and shape[-1] % BLOCK_LENGTH else dtype
