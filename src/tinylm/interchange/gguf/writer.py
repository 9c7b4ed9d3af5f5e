"""The writer of a GGUF file: keys, tensors, numbers (format.py), each at its place, tensor by tensor."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.interchange.gguf.blocks import TensorType, quantize, tensor_bytes
from tinylm.interchange.gguf.format import ALIGNMENT, MAGIC, VERSION, ValueType
from tinylm.system.files import replaced_atomically

Value = bool | int | float | str | bytes | Sequence[int] | Sequence[float] | Sequence[str]
"""Values of keys. Whole numbers are written as uint32, below zero as int32, others as float32; arrays as float32,
int32 or strings, by their first item; bytes as an array of uint8."""


class StoredTensor(NamedTuple):
    """A tensor and the number format in which it is written."""

    numbers: NDArray[np.float32]
    kind: TensorType


def write_file(path: Path, keys: Mapping[str, Value], tensors: Mapping[str, StoredTensor]) -> None:
    """Writes a GGUF file, whole or not at all.

    Args:
        keys: name -> value, in the order of the file.
        tensors: name -> tensor, (out, in) or (length,).

    Raises:
        OSError: the file cannot be written.
        TinyLMError: a number is too large for its format.

    >>> from tinylm.interchange.gguf.reader import read_gguf
    >>> tensors = {"t": StoredTensor(np.ones((2, 32), np.float32), TensorType.Q8_0)}
    >>> write_file(Path("t.gguf"), {"general.architecture": "none"}, tensors)
    >>> read_gguf("t.gguf").numbers("t").shape
    (2, 32)
    """
    with replaced_atomically(path) as temporary, temporary.open("wb") as file:
        file.write(_header(keys, tensors))
        for tensor in tensors.values():
            data = quantize(tensor.numbers, tensor.kind)
            file.write(data + bytes(-len(data) % ALIGNMENT))


def _header(keys: Mapping[str, Value], tensors: Mapping[str, StoredTensor]) -> bytes:
    """The bytes of a file before its numbers."""
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(keys))]
    for name, value in keys.items():
        parts += [_string(name), _typed(value)]
    offset = 0
    for name, tensor in tensors.items():
        shape = tensor.numbers.shape[::-1]
        parts += [_string(name), struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, tensor.kind, offset)]
        length = tensor_bytes(tensor.kind, tensor.numbers.size)
        offset += length + -length % ALIGNMENT
    head = b"".join(parts)
    return head + bytes(-len(head) % ALIGNMENT)


def _string(text: str) -> bytes:
    data = text.encode("utf-8", "replace")  # the name of a folder may hold bytes that are not UTF-8
    return struct.pack("<Q", len(data)) + data


def _typed(value: Value) -> bytes:
    """The type of a value, and the value."""
    if isinstance(value, bool):
        return struct.pack("<I?", ValueType.BOOL, value)
    if isinstance(value, int):
        return struct.pack("<Ii", ValueType.INT32, value) if value < 0 else struct.pack("<II", ValueType.UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", ValueType.FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", ValueType.STRING) + _string(value)
    if isinstance(value, bytes):
        return struct.pack("<IIQ", ValueType.ARRAY, ValueType.UINT8, len(value)) + value
    if isinstance(value[0], str):
        kind, items = ValueType.STRING, b"".join(_string(str(item)) for item in value)
    elif isinstance(value[0], float):
        kind, items = ValueType.FLOAT32, np.array(value, "<f4").tobytes()
    else:
        kind, items = ValueType.INT32, np.array(value, "<i4").tobytes()
    return struct.pack("<IIQ", ValueType.ARRAY, kind, len(value)) + items
