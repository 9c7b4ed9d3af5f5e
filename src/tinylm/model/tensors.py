"""A model's parameters by name: exactly those that the model has, all of their numbers finite, or an error."""

from __future__ import annotations

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
_REMEDY = "Restore the folder from a copy, or train again"


def weights_of(model: Any) -> Weights:
    """The parameters of a torch module as NumPy arrays, without a copy where the module lies in memory as float32. A
    tied output head is the embedding, and is there once."""
    return {name: parameter.detach().float().cpu().contiguous().numpy() for name, parameter in model.named_parameters()}


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
        check_shapes({name: tensor.shape for name, tensor in file.tensors.items()}, expected, str(path))
        return {name: file.read(name) for name in file.tensors}


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
