"""Number formats of tensors in a GGUF file, and the way from float32 to them and back.

A quantised row is cut into blocks of 32 numbers. A block holds small whole numbers and a scale, and in the formats `_1`
the least number of the block, too:

    Q8_0, Q5_0, Q4_0    number = scale * q              q has 8, 5 or 4 bits and a sign
    Q5_1, Q4_1          number = scale * q + least      q has 5 or 4 bits

A byte of `low` holds the four low bits of numbers i and i + 16 of a block; bit i of `high` is the fifth bit of number
i. Source: ggml-common.h and ggml-quants.c of llama.cpp, whose Q8_0 the one here equals bit for bit.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.interchange.rounding import BLOCK_LENGTH, round_to_8_bits
from tinylm.model.tensor_file import from_bfloat16


class TensorType(IntEnum):
    """The number formats that tinylm reads, by their numbers in the file (ggml_type)."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    BF16 = 30


_SCALE, _LEAST, _HIGH, _LOW = ("scale", "<f2"), ("least", "<f2"), ("high", "<u4"), ("low", "u1", BLOCK_LENGTH // 2)
_BLOCKS: dict[TensorType, np.dtype[Any]] = {
    TensorType.F32: np.dtype("<f4"), TensorType.F16: np.dtype("<f2"), TensorType.BF16: np.dtype("<u2"),
    TensorType.Q8_0: np.dtype([_SCALE, ("q", "i1", BLOCK_LENGTH)]),
    TensorType.Q5_0: np.dtype([_SCALE, _HIGH, _LOW]), TensorType.Q5_1: np.dtype([_SCALE, _LEAST, _HIGH, _LOW]),
    TensorType.Q4_0: np.dtype([_SCALE, _LOW]), TensorType.Q4_1: np.dtype([_SCALE, _LEAST, _LOW]),
}
_BF16_EXPONENT = np.uint16(0x7F80)
"""The bits of a bfloat16's exponent: all set in infinities and in what is no number."""


def block_length(kind: TensorType) -> int:
    """The numbers in a block: 32 in quantised formats, else 1. A row must be a multiple of it.

    >>> block_length(TensorType.Q4_0), block_length(TensorType.F16)
    (32, 1)
    """
    return BLOCK_LENGTH if _BLOCKS[kind].names else 1


def block_bytes(kind: TensorType) -> int:
    """The bytes of a block.

    >>> block_bytes(TensorType.Q8_0), block_bytes(TensorType.Q5_1), block_bytes(TensorType.BF16)
    (34, 24, 2)
    """
    return _BLOCKS[kind].itemsize


def tensor_bytes(kind: TensorType, n_numbers: int) -> int:
    """The bytes of a tensor of whole blocks.

    >>> tensor_bytes(TensorType.Q8_0, 64), tensor_bytes(TensorType.F16, 64)
    (68, 128)
    """
    return n_numbers // block_length(kind) * block_bytes(kind)


def quantize(numbers: NDArray[np.float32], kind: TensorType) -> bytes:
    """The numbers of a tensor as the file holds them.

    Args:
        numbers: (..., row); a row is a multiple of `block_length(kind)`.
        kind: F32, F16 or Q8_0.

    Raises:
        TinyLMError: a number is too large for the format.

    >>> len(quantize(np.ones((2, 64), np.float32), TensorType.Q8_0))
    136
    """
    if kind is TensorType.Q8_0:
        stored = _quantized_to_8_bits(numbers)
        largest = stored["scale"]
    else:
        with np.errstate(over="ignore"):
            stored = largest = numbers.astype(_BLOCKS[kind])
    if not np.isfinite(largest).all():
        raise TinyLMError(f"a weight is too large for numbers of the format {kind.name}", remedy="Choose --dtype f32")
    return stored.tobytes()


def _quantized_to_8_bits(numbers: NDArray[np.float32]) -> NDArray[Any]:
    scales, whole = round_to_8_bits(numbers)
    stored = np.empty(len(whole), _BLOCKS[TensorType.Q8_0])
    with np.errstate(over="ignore"):
        stored["scale"] = scales[:, 0]
    stored["q"] = whole
    return stored


def dequantize(data: bytes | memoryview, kind: TensorType) -> NDArray[np.float32]:
    """The numbers of a tensor, in the order of the file; a new array.

    Args:
        data: whole blocks.

    >>> dequantize(quantize(np.float32([127, -2, 0.4] + [0] * 29), TensorType.Q8_0), TensorType.Q8_0)[:3]
    array([127.,  -2.,   0.], dtype=float32)
    """
    blocks = np.frombuffer(data, _BLOCKS[kind])
    if kind is TensorType.BF16:
        return from_bfloat16(blocks)
    if not blocks.dtype.names:
        return blocks.astype(np.float32)
    numbers = blocks["scale"][:, None].astype(np.float32) * _whole_numbers(blocks)
    if "least" in blocks.dtype.names:
        numbers += blocks["least"][:, None]
    return numbers.reshape(-1)


def is_finite(data: bytes | memoryview, kind: TensorType) -> bool:
    """True if all numbers of a tensor are finite, told from the bytes as they are stored: a number of a block is as
    finite as its scale and its least number.

    Args:
        data: whole blocks.

    >>> is_finite(bytes.fromhex("807f"), TensorType.BF16)  # infinity
    False
    """
    blocks = np.frombuffer(data, _BLOCKS[kind])
    if kind is TensorType.BF16:
        return not bool((blocks & _BF16_EXPONENT == _BF16_EXPONENT).any())
    fields = [blocks[name] for name in ("scale", "least") if name in (blocks.dtype.names or ())] or [blocks]
    return all(bool(np.isfinite(field).all()) for field in fields)


def _whole_numbers(blocks: NDArray[Any]) -> NDArray[np.float32]:
    """The whole numbers q of blocks, (blocks, 32)."""
    names = blocks.dtype.names or ()
    if "q" in names:
        return blocks["q"].astype(np.float32)
    q = np.concatenate([blocks["low"] & 15, blocks["low"] >> 4], axis=1)
    if "high" in names:
        bits = blocks["high"][:, None] >> np.arange(BLOCK_LENGTH, dtype=np.uint32) & np.uint32(1)
        q |= (bits << np.uint32(4)).astype(np.uint8)
    middle = 0 if "least" in names else 16 if "high" in names else 8
    return q.astype(np.float32) - np.float32(middle)
