"""Reader of GGUF files, versions 2 and 3. A file comes from anywhere, so that every count, length and offset in it is
held against the bytes that are there before memory is taken for it. The layout stands in format.py.

The file is read once and whole, and all of it is checked then; strings and numbers of its keys are decoded at once,
tensors one by one on demand.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.blocks import TensorType, block_length, dequantize, is_finite, tensor_bytes
from tinylm.interchange.gguf.format import (
    ALIGNMENT,
    ALIGNMENT_KEY,
    MAGIC,
    MAX_AXES,
    MAX_TENSOR_NAME,
    SCALAR_DTYPES,
    ValueType,
)
from tinylm.system.untrusted import quoted, read_whole

Value = bool | int | float | str | list[str] | NDArray[Any]
"""A value of a key: a scalar, a string, a list of strings, or an array of numbers."""
MAX_FILE_BYTES: Final = 1 << 36
"""Bytes of a file, at most."""
MAX_KEYS, MAX_TENSORS, MAX_STRINGS = 1 << 12, 1 << 14, 1 << 20
"""Keys, tensors, and strings in all arrays together, at most: far more than a model has (a vocabulary of 262,144
entries with its merges has 776,000 strings), and few enough to be read at once."""
MAX_NAME_BYTES: Final = 1 << 16
"""Bytes of the name of a key, at most."""
_VERSIONS = (2, 3)
_OTHER_TYPES = {10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS",
                18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16",
                26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4"}
"""Number formats that are not read, by their numbers (ggml_type), so that an error can name them."""


class StoredTensor(NamedTuple):
    """A tensor as the file holds it.

    Attributes:
        shape: its axes, as NumPy and torch have them: a matrix is (out, in).
        kind: the format of its numbers.
        data: its bytes, a part of the file's.
    """

    shape: tuple[int, ...]
    kind: TensorType
    data: memoryview


@dataclass(frozen=True)
class GGUFFile:
    """The content of a GGUF file.

    Attributes:
        where: its path, for errors.
        keys: its settings and its tokenizer, by name.
        tensors: by name; `numbers` decodes one.
    """

    where: str
    keys: dict[str, Value]
    tensors: dict[str, StoredTensor]

    def numbers(self, name: str) -> NDArray[np.float32]:
        """The numbers of a tensor, as a new array. All are finite.

        >>> read_gguf("book-gguf/model.gguf").numbers("token_embd.weight").shape
        (39, 64)
        """
        shape, kind, data = self.tensors[name]
        return dequantize(data, kind).reshape(shape)


_REMEDY = "Download it again, or choose another file"


def read_gguf(path: str | Path) -> GGUFFile:
    """Reads a GGUF file of version 2 or 3, little-endian, with tensors of the types of `blocks.TensorType`.

    Memory: the file, and its strings.

    Raises:
        TinyLMError: the file is missing, is no GGUF file, is damaged, or has tensors in other formats.

    >>> read_gguf("book-gguf/model.gguf").keys["general.architecture"]
    'qwen3'
    """
    data = read_whole(Path(path), MAX_FILE_BYTES)
    return parse_gguf(data, where=str(path))


def parse_gguf(data: bytes, where: str = "") -> GGUFFile:
    """The content of a GGUF file's bytes.

    Raises:
        TinyLMError: as `read_gguf`.

    >>> parse_gguf(b"GGUF" + (3).to_bytes(4, "little") + bytes(16)).keys
    {}
    """
    cursor = _Cursor(data, where)
    n_tensors, n_keys = _read_counts(cursor)
    keys = _read_keys(cursor, n_keys)
    listed = [_read_tensor(cursor) for _ in range(n_tensors)]
    return GGUFFile(where, keys, _place(cursor, listed, _alignment(cursor, keys)))


class _Cursor:
    """The place in the bytes of a file up to which they are read. Each step is held against their number."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.at, self.where, self.n_strings = data, 0, where, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def refuse(self, what: str) -> NoReturn:
        raise TinyLMError(f"is damaged: {what}", where=self.where, remedy=_REMEDY)

    def take(self, n_bytes: int, what: str) -> int:
        """Goes on by some bytes. Returns where they begin."""
        if n_bytes > self.left:
            self.refuse(f"{what} has {n_bytes:,} bytes, and {self.left:,} are left in the file")
        start, self.at = self.at, self.at + n_bytes
        return start

    def scalar(self, kind: ValueType, what: str) -> bool | int | float:
        code = _STRUCT[kind]
        (value,) = code.unpack_from(self.data, self.take(code.size, what))
        return bool(value) if kind is ValueType.BOOL else value

    def count(self, most: int, what: str) -> int:
        """A number of things, of which there are at most `most`."""
        (count,) = _UINT64.unpack_from(self.data, self.take(8, what))
        if count > most:
            self.refuse(f"{what} is {count:,}, and at most {most:,} would be right")
        return int(count)

    def string(self, what: str, most: int | None = None) -> str:
        n_bytes = self.count(self.left - 8 if most is None else most, f"the length of {what}")
        start = self.take(n_bytes, what)
        try:
            return self.data[start:start + n_bytes].decode("utf-8")
        except UnicodeDecodeError:
            self.refuse(f"{what} is not UTF-8")

    def value_type(self, what: str) -> ValueType:
        number = int(self.scalar(ValueType.UINT32, what))
        if number not in ValueType.__members__.values():
            self.refuse(f"{what} is of the unknown type {number}")
        return ValueType(number)


_STRUCT = {kind: struct.Struct("<" + {"u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i", "f4": "f",
                                      "?": "B", "u8": "Q", "i8": "q", "f8": "d"}[dtype.lstrip("<")])
           for kind, dtype in SCALAR_DTYPES.items()}
_UINT64 = _STRUCT[ValueType.UINT64]


def _read_counts(cursor: _Cursor) -> tuple[int, int]:
    """The numbers of tensors and keys, after the magic and the version."""
    if cursor.data[:4] != MAGIC:
        raise TinyLMError("is not a GGUF file", where=cursor.where, remedy="Give a file whose name ends in .gguf")
    cursor.take(4, "its beginning")
    version = int(cursor.scalar(ValueType.UINT32, "its version"))
    if version not in _VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS
        what = "is a big-endian GGUF file" if swapped else f"is a GGUF file of version {version}"
        raise TinyLMError(f"{what}, and tinylm reads little-endian ones of version 2 and 3", where=cursor.where,
                          remedy="Convert it with the latest llama.cpp")
    n_tensors = cursor.count(MAX_TENSORS, "its number of tensors")
    return n_tensors, cursor.count(MAX_KEYS, "its number of keys")


# ---- keys


def _read_keys(cursor: _Cursor, n_keys: int) -> dict[str, Value]:
    keys: dict[str, Value] = {}
    for _ in range(n_keys):
        name = cursor.string("the name of a key", MAX_NAME_BYTES)
        if name in keys:
            cursor.refuse(f"it has the key {quoted(name)} twice")
        what = f"the key {quoted(name)}"
        kind = cursor.value_type(what)
        keys[name] = _read_array(cursor, what) if kind is ValueType.ARRAY else _read_one(cursor, kind, what)
    return keys


def _read_one(cursor: _Cursor, kind: ValueType, what: str) -> bool | int | float | str:
    return cursor.string(what) if kind is ValueType.STRING else cursor.scalar(kind, what)


def _read_array(cursor: _Cursor, what: str) -> list[str] | NDArray[Any]:
    """The items of an array. One of arrays is refused: no model has it."""
    kind = cursor.value_type(f"an item of {what}")
    if kind is ValueType.ARRAY:
        cursor.refuse(f"{what} is an array of arrays")
    if kind is ValueType.STRING:
        n_items = cursor.count(min(cursor.left // 8, MAX_STRINGS - cursor.n_strings), f"the length of {what}")
        cursor.n_strings += n_items
        return [cursor.string(f"an item of {what}") for _ in range(n_items)]
    dtype = np.dtype(SCALAR_DTYPES[kind])
    n_items = cursor.count(cursor.left // dtype.itemsize, f"the length of {what}")
    return np.frombuffer(cursor.data, dtype, n_items, cursor.take(n_items * dtype.itemsize, what))


def _alignment(cursor: _Cursor, keys: dict[str, Value]) -> int:
    """The number of bytes of which the places of tensors are multiples."""
    alignment = keys.get(ALIGNMENT_KEY, ALIGNMENT)
    if type(alignment) is not int or not 1 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        cursor.refuse(f"the key {ALIGNMENT_KEY} is no power of two")
    return alignment


# ---- tensors


class _Listed(NamedTuple):
    """The entry of a tensor in the file's list."""

    name: str
    shape: tuple[int, ...]
    kind: TensorType
    offset: int


def _read_tensor(cursor: _Cursor) -> _Listed:
    name = cursor.string("the name of a tensor", MAX_TENSOR_NAME)
    what = f"the tensor {quoted(name)}"
    n_axes = int(cursor.scalar(ValueType.UINT32, what))
    if n_axes > MAX_AXES:
        cursor.refuse(f"{what} has {n_axes:,} axes")
    axes = [cursor.count(len(cursor.data) * 2, f"an axis of {what}") for _ in range(n_axes)]  # two numbers a byte
    kind = _tensor_type(cursor, name)
    row = axes[0] if axes else 1
    if row % block_length(kind) or 0 in axes:
        cursor.refuse(f"{what} has rows of {row:,} numbers, which the format {kind.name} does not have")
    return _Listed(name, tuple(reversed(axes)), kind, cursor.count(len(cursor.data), f"the place of {what}"))


def _tensor_type(cursor: _Cursor, name: str) -> TensorType:
    number = int(cursor.scalar(ValueType.UINT32, f"the tensor {quoted(name)}"))
    if number in TensorType.__members__.values():
        return TensorType(number)
    format = _OTHER_TYPES.get(number, f"with the number {number}")
    read = ", ".join(sorted(kind.name for kind in TensorType))
    raise TinyLMError(f"the tensor {quoted(name)} has the number format {format}, and tinylm reads {read}",
                      where=cursor.where, remedy="Choose a file of the same model in one of these, such as Q8_0")


def _place(cursor: _Cursor, listed: list[_Listed], alignment: int) -> dict[str, StoredTensor]:
    """The tensors with their bytes. They lie one after the other, each padded up to the alignment, as llama.cpp demands
    it: no byte belongs to two of them."""
    start = cursor.at + -cursor.at % alignment
    view, tensors, expected = memoryview(cursor.data), dict[str, StoredTensor](), 0
    for name, shape, kind, offset in listed:
        n_bytes = tensor_bytes(kind, math.prod(shape))
        if name in tensors:
            cursor.refuse(f"it has the tensor {quoted(name)} twice")
        if offset != expected:
            cursor.refuse(f"the tensor {quoted(name)} begins at {offset:,}, not at {expected:,}")
        if start + offset + n_bytes > len(cursor.data):
            cursor.refuse(f"the tensor {quoted(name)} ends behind the end of the file")
        tensors[name] = StoredTensor(shape, kind, view[start + offset:start + offset + n_bytes])
        if not is_finite(tensors[name].data, kind):
            cursor.refuse(f"the tensor {quoted(name)} holds something that is not a finite number")
        expected = offset + n_bytes + -n_bytes % alignment
    return tensors
