"""A model's parameters by name: exactly those that the model has, all of their numbers finite, or an error.

A matrix may be stored in a quarter of its bytes: NAME in 8-bit numbers (O, I), beside NAME.scale, (O,) in 32 bits. It
is read as their product, a scale for each row.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.model.tensor_file import open_tensors
from tinylm.system.untrusted import quoted

Shape = tuple[int, ...]
Weights = dict[str, NDArray[np.float32]]
HEADER_BYTES, HEADER_BYTES_PER_TENSOR, MAX_ITEM_BYTES = 1 << 14, 256, 8
"""Bytes of a .safetensors file, at most: its header without tensors, the header's entry of a tensor, and one number."""
MIN_LAYER_BYTES = 256
"""Bytes that a layer takes at least: the header names its tensors."""
SCALE = ".scale"
"""What the name of the scales adds to that of a matrix of 8-bit numbers."""
_REMEDY = "Restore the folder from a copy, or train again"


def weights_of(model: Any) -> Weights:
    """The parameters of a torch module as NumPy arrays, without a copy where the module lies in memory as float32. A
    tied output head is the embedding, and is there once."""
    return {name: parameter.detach().float().cpu().contiguous().numpy() for name, parameter in model.named_parameters()}


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


def read_tensors(path: Path, expected: Mapping[str, Shape]) -> Weights:
    """Reads the tensors by name, as float32.

    Args:
        expected: the shape of each tensor that the file must hold; it must hold no other.

    Raises:
        TinyLMError: the file is missing or damaged, or holds other tensors.
    """
    most = HEADER_BYTES + HEADER_BYTES_PER_TENSOR * len(expected) + MAX_ITEM_BYTES * sum(
        math.prod(shape) for shape in expected.values())
    with open_tensors(path, _REMEDY, most) as file:
        scales = {f"{name}{SCALE}": shape[:1] for name, shape in expected.items()
                  if name in file.tensors and file.tensors[name].dtype == "I8"}
        check_shapes({name: tensor.shape for name, tensor in file.tensors.items()}, {**expected, **scales}, str(path))
        return {name: file.read(name, file.read(f"{name}{SCALE}") if f"{name}{SCALE}" in scales else None)
                for name in file.tensors if name in expected}


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
                          remedy=_REMEDY)


def check_shapes(found: Mapping[str, Shape], expected: Mapping[str, Shape], where: str) -> None:
    """Checks that tensors are those of a config: no more, no less, each in its shape.

    Args:
        where: the file or folder, for the error.

    Raises:
        TinyLMError: one is not.
    """
    for name in sorted(expected.keys() | found.keys()):
        asked = list(expected[name]) if name in expected else "none"
        there = list(found[name]) if name in found else "none"
        if asked != there:
            raise TinyLMError(f"config.json asks for {quoted(name)} of shape {asked}, and here it is {quoted(there)}",
                              where=where, remedy="The files of this folder do not belong together")
