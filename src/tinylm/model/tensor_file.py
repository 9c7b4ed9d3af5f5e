"""A .safetensors file: written by its library, and read tensor by tensor into float32.

    8 bytes     the length of the list
    list        JSON: name -> {"dtype", "shape", "data_offsets": [begin, end]}
    numbers     of the tensors, one after another without a gap; offsets count from here

The file comes from anywhere, so that the list is held against the bytes that are there before memory is taken for a
tensor. Source: the README of the repository safetensors.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.system.untrusted import open_unchanged, quoted, read_exactly

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "i1"}
"""Number formats that are read, as the file names them and as NumPy does."""
MAX_LIST_BYTES = 1 << 21
"""Bytes of the list of tensors, at most: 8,000 tensors of a large model take half of it."""
CHUNK_NUMBERS = 1 << 20
"""Numbers that are read at once, so that a tensor of 16 bits is in memory once, in 32 bits."""
_MAX_AXES = 8


class StoredTensor(NamedTuple):
    """Entry of the list: where a tensor lies, in bytes from the first number on."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class TensorFile:
    """An open file whose list has been read.

    Attributes:
        path: of the file.
        tensors: by name, in the order of the file.
    """

    def __init__(self, path: Path, file: BinaryIO, start: int, tensors: dict[str, StoredTensor], remedy: str) -> None:
        self.path, self.tensors, self._file, self._start, self._remedy = path, tensors, file, start, remedy

    def read(self, name: str, scales: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Reads a tensor as a new array.

        Args:
            scales: (rows,), for a tensor of 8-bit numbers and for no other: the factor of each row.

        Raises:
            TinyLMError: its number format is not among `DTYPES`, 8-bit numbers have no scales, or a number is not
                finite in 32 bits.
            EOFError: the file was shortened.
        """
        dtype, shape, begin, _ = self.tensors[name]
        if dtype not in DTYPES or (dtype == "I8") != (scales is not None):
            raise _damaged(self.path, f"{name} holds numbers of type {dtype}", self._remedy)
        numbers = np.empty(math.prod(shape), np.float32)
        self._file.seek(self._start + begin)
        for i in range(0, len(numbers), CHUNK_NUMBERS):
            part = numbers[i:i + CHUNK_NUMBERS]
            stored = np.frombuffer(read_exactly(self._file, len(part) * np.dtype(DTYPES[dtype]).itemsize),
                                   DTYPES[dtype])
            with np.errstate(over="ignore"):
                part[:] = from_bfloat16(stored) if dtype == "BF16" else stored
            self._check_finite(name, part)
        if scales is not None:
            with np.errstate(over="ignore"):
                numbers = (numbers.reshape(scales.size, -1) * scales.reshape(-1, 1)).reshape(-1)
            self._check_finite(name, numbers)
        return numbers.reshape(shape)

    def _check_finite(self, name: str, numbers: NDArray[np.float32]) -> None:
        if not np.isfinite(numbers).all():
            raise _damaged(self.path, f"{name} holds something that is not a finite number", self._remedy)


@contextmanager
def open_tensors(path: Path, remedy: str, most: int | None = None) -> Iterator[TensorFile]:
    """Opens a file for the block. Its memory is that of the tensors that the block reads, and some megabytes.

    Args:
        remedy: what to try if the file is damaged.
        most: the largest number of its bytes; None: any.

    Raises:
        TinyLMError: as `open_unchanged`; or the list of tensors is damaged.
    """
    with open_unchanged(path, 1 << 63 if most is None else most) as (file, size):
        try:
            start = _list_end(file, size)
            tensors = _read_list(read_exactly(file, start - 8), size - start)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise _damaged(path, error, remedy) from None
        yield TensorFile(path, file, start, tensors, remedy)


def _damaged(path: Path, what: object, remedy: str) -> TinyLMError:
    return TinyLMError(f"is damaged ({quoted(what)})", where=str(path), remedy=remedy)


def _list_end(file: BinaryIO, size: int) -> int:
    if size < 8:
        raise ValueError("it is too short")
    end = 8 + int.from_bytes(read_exactly(file, 8), "little")
    if end > min(size, 8 + MAX_LIST_BYTES):
        raise ValueError("its list of tensors is too long")
    return end


def _read_list(data: bytes, n_bytes: int) -> dict[str, StoredTensor]:
    """The entries of a list. Raises: ValueError, LookupError, TypeError, AttributeError: they are not whole, or do not
    fill the bytes behind the list."""
    listed: dict[str, Any] = json.loads(data.decode())
    listed.pop("__metadata__", None)
    entries = {name: _entry(name, about) for name, about in listed.items()}
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != end:
            raise ValueError(f"{name} does not lie behind the tensor before it")
        end = entry.end
    if end != n_bytes:
        raise ValueError(f"its tensors have {end:,} bytes, and the file {n_bytes:,}")
    return entries


def _entry(name: str, about: Mapping[str, Any]) -> StoredTensor:
    dtype, shape, (begin, end) = about["dtype"], about["shape"], about["data_offsets"]
    if not all(type(each) is int and each >= 0 for each in (begin, end, *shape)) or len(shape) > _MAX_AXES:
        raise ValueError(f"{name} has an impossible shape")
    is_known = isinstance(dtype, str) and dtype in DTYPES
    if end < begin or (is_known and math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize != end - begin):
        raise ValueError(f"{name} has other bytes than its shape")
    return StoredTensor(str(dtype), tuple(shape), begin, end)


def from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The numbers of bfloat16, which NumPy does not have: each is the upper half of a float32.

    >>> from_bfloat16(np.array([0x3F80, 0xC000], np.uint16))
    array([ 1., -2.], dtype=float32)
    """
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Writes a file, which whoever may read other new files may read, too.

    Raises:
        OSError: it cannot be written.

    >>> write_tensors(Path("weights.safetensors"), {"w": np.ones((2, 3), np.float32)})
    >>> with open_tensors(Path("weights.safetensors"), "Fetch it anew") as file:
    ...     file.tensors["w"].shape, file.read("w").sum()
    ((2, 3), np.float32(6.0))
    """
    from safetensors.numpy import save_file

    path.touch()
    mode = path.stat().st_mode
    with _saving(path):  # the library writes a transposed matrix as it lies in memory
        save_file({name: np.asarray(array, order="C") for name, array in tensors.items()}, path,
                  metadata={"format": "pt"})
    path.chmod(mode)  # the library makes it readable to its owner alone


@contextmanager
def _saving(path: Path) -> Iterator[None]:
    """Within the block, tensors that the library cannot write to `path` are an OSError, as other files are."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        code = int(number[1]) if number else errno.EIO
        if os.name == "nt" and number:
            raise OSError(0, str(error), str(path), code) from None
        raise OSError(code, os.strerror(code), str(path)) from None
