"""Tensors of a .safetensors file: exactly those that a model has, all of their numbers finite, or an error.

A matrix may be stored in a quarter of its bytes: NAME as int8 (O, I), beside NAME.scale, float32 (O,). It is read as
their product, a scale for each row.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.system.untrusted import quoted, read_whole

Shape = tuple[int, ...]
Weights = dict[str, NDArray[np.float32]]
HEADER_BYTES, HEADER_BYTES_PER_TENSOR, MAX_ITEM_BYTES = 1 << 14, 256, 8
"""Bytes of a .safetensors file, at most: its header without tensors, the header's entry of a tensor, and one number."""
MIN_LAYER_BYTES = 256
"""Bytes that a layer takes at least: the header names its tensors."""
SCALE = ".scale"
"""What the name of the scales adds to that of a matrix of 8-bit numbers."""
MAX_SCALE = 1e36
"""Scales are below this: their products with 8-bit numbers are finite."""


def read_tensors(path: Path, expected: Mapping[str, Shape]) -> Weights:
    """Reads the tensors by name, as float32.

    Args:
        expected: the shape of each tensor that the file must hold; it must hold no other.

    Raises:
        TinyLMError: the file is missing or damaged, or holds other tensors.
    """
    stored = _tensors(path, expected)
    scales = {f"{name}{SCALE}": shape[:1] for name, shape in expected.items()
              if name in stored and stored[name].dtype == "I8"}
    _check_tensors(path, {**expected, **scales}, stored)
    with np.errstate(over="ignore"):
        return {name: _scaled(_as_float32(stored[name]), stored.get(f"{name}{SCALE}")) for name in expected}


def _scaled(matrix: NDArray[np.float32], scales: _Stored | None) -> NDArray[np.float32]:
    """The product of the rows of a matrix with their scales, if it has some."""
    if scales is not None:
        matrix *= _as_float32(scales).reshape(-1, *[1] * (matrix.ndim - 1))
    return matrix


def check_layers_fit(path: Path, n_layers: int) -> None:
    """Checks that a file is long enough to name the tensors of `n_layers` layers, so that the work on a file is bounded
    by the file and not by a config that speaks of it.

    Raises:
        TinyLMError: the file is too short.
    """
    try:
        most = path.stat().st_size // MIN_LAYER_BYTES
    except OSError:
        return  # reading tells why
    if n_layers > most:
        raise TinyLMError(f"is damaged, or of another model: it is too short for {n_layers:,} layers", where=str(path),
                          remedy="Restore the folder from a copy, or train again")


class _Stored(NamedTuple):
    """Tensor of a file, with its numbers as the file has them; a bfloat16 is a uint16."""

    dtype: str
    shape: list[int]
    data: NDArray[Any]


_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "i1"}


def _as_float32(tensor: _Stored) -> NDArray[np.float32]:
    if tensor.dtype == "BF16":
        return (tensor.data.astype(np.uint32) << 16).view(np.float32).reshape(tensor.shape)
    return tensor.data.astype(np.float32, copy=False).reshape(tensor.shape)


def fingerprint(weights: Mapping[str, NDArray[np.float32]]) -> str:
    """sha256 of parameters: of their names, shapes and float32 numbers, whatever file they are from, in hexadecimal.

    >>> fingerprint({"a": np.zeros(2, np.float32)})[:8], fingerprint({"b": np.zeros(2, np.float32)})[:8]
    ('9c15134c', '0c6e4c76')
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(f"{name}{list(weights[name].shape)}".encode())
        digest.update(weights[name].astype("<f4", copy=False).tobytes())
    return digest.hexdigest()


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Within the block, tensors that the library cannot write to `path` are an OSError, as other files are.

    >>> from safetensors.numpy import save_file
    >>> with saving(Path("nowhere")):
    ...     save_file({}, "nowhere/tensors")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere'
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        code = int(number[1]) if number else errno.EIO
        if os.name == "nt" and number:
            raise OSError(0, str(error), str(path), code) from None
        raise OSError(code, os.strerror(code), str(path)) from None


def _tensors(path: Path, expected: Mapping[str, Shape]) -> dict[str, _Stored]:
    from safetensors import SafetensorError, deserialize

    most_header = HEADER_BYTES + HEADER_BYTES_PER_TENSOR * len(expected)
    most = most_header + MAX_ITEM_BYTES * sum(math.prod(shape) for shape in expected.values())
    data = read_whole(path, most)
    try:
        if int.from_bytes(data[:8], "little") > most_header:
            raise ValueError("its list of tensors is too long")
        return {name: _Stored(tensor["dtype"], tensor["shape"], np.frombuffer(
            tensor["data"], _DTYPES.get(tensor["dtype"], "u1"))) for name, tensor in deserialize(data)}  # type: ignore[no-untyped-call]
    except (SafetensorError, ValueError, LookupError, TypeError, ArithmeticError, RuntimeError) as error:
        raise TinyLMError(f"is damaged ({quoted(error)})", where=str(path),
                          remedy="Restore the folder from a copy, or train again") from None


def _check_tensors(path: Path, expected: Mapping[str, Shape], found: Mapping[str, _Stored]) -> None:
    for name in sorted(expected.keys() | found.keys()):
        asked = list(expected[name]) if name in expected else "none"
        there = list(found[name].shape) if name in found else "none"
        if asked != there:
            raise TinyLMError(f"config.json asks for {quoted(name)} of shape {asked}, and here it is {quoted(there)}",
                              where=str(path), remedy="The files of this folder do not belong together")
        scales = found.get(f"{name}{SCALE}")
        if found[name].dtype not in _DTYPES or not _is_finite(found[name]) or not _has_scales(found[name], scales):
            raise TinyLMError(f"is damaged: {name} holds something that is not a finite number", where=str(path),
                              remedy="Restore the folder from a copy, or train again")


def _is_finite(tensor: _Stored) -> bool:
    return bool(np.isfinite(_as_float32(tensor) if tensor.dtype == "BF16" else tensor.data).all())


def _has_scales(tensor: _Stored, scales: _Stored | None) -> bool:
    """False for 8-bit numbers whose scales are no float32, or may make a product that is not finite."""
    if tensor.dtype != "I8":
        return True
    return scales is None or (scales.dtype == "F32" and bool((np.abs(scales.data) < MAX_SCALE).all()))
