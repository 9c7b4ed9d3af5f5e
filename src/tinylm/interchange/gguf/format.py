"""Constants of a GGUF file, for its writer and its reader. All numbers in it are little-endian.

    magic, version, number of tensors, number of keys
    keys        name, type, value; strings are a length (uint64) and UTF-8, arrays a type, a length and the items
    tensors     name, number of axes, lengths of the axes (the shortest stride first), type, offset of the numbers
    padding     zeros up to a multiple of the alignment
    numbers     of each tensor at its offset, counted from here, padded likewise

Source: docs/gguf.md of the repository ggml.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

MAGIC: Final = b"GGUF"
VERSION: Final = 3
"""The version that is written. Version 2 differs in nothing that little-endian files show."""
ALIGNMENT: Final = 32
"""Bytes of which the offsets of tensors are multiples, where the file says nothing else."""
ALIGNMENT_KEY: Final = "general.alignment"
MAX_AXES: Final = 4
"""Axes of a tensor, at most (GGML_MAX_DIMS)."""
MAX_TENSOR_NAME: Final = 63
"""Bytes of a tensor's name, at most (GGML_MAX_NAME less the zero at its end)."""


class ValueType(IntEnum):
    """The types of values that a key may have."""

    UINT8 = 0
    INT8 = 1
    UINT16 = 2
    INT16 = 3
    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8
    ARRAY = 9
    UINT64 = 10
    INT64 = 11
    FLOAT64 = 12


SCALAR_DTYPES: Final = {
    ValueType.UINT8: "u1", ValueType.INT8: "i1", ValueType.UINT16: "<u2", ValueType.INT16: "<i2",
    ValueType.UINT32: "<u4", ValueType.INT32: "<i4", ValueType.FLOAT32: "<f4", ValueType.BOOL: "?",
    ValueType.UINT64: "<u8", ValueType.INT64: "<i8", ValueType.FLOAT64: "<f8",
}
"""NumPy's names of all types but strings and arrays."""


class TokenType(IntEnum):
    """The types of entries of a vocabulary (`tokenizer.ggml.token_type`)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6
