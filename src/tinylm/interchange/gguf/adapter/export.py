"""Export of an adapter to GGUF: `adapter.gguf` for llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from tinylm.errors import TinyLMError, sentences
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.architectures import Held, find_architecture
from tinylm.interchange.gguf.export import tensor_type
from tinylm.interchange.gguf.metadata import adapter_keys
from tinylm.interchange.gguf.names import rows_to_gguf, tensor_names
from tinylm.interchange.gguf.writer import StoredTensor, write_file
from tinylm.interchange.source import Dtype, ExportedAdapter
from tinylm.model.lora import Addition, Additions, stacked
from tinylm.model.tensors import Weights

ADAPTER: Final = "adapter.gguf"
A, B = ".lora_a", ".lora_b"


def write(adapter: ExportedAdapter, folder: Path, dtype: Dtype) -> list[str]:
    """Writes an adapter as GGUF into an empty folder.

    Args:
        dtype: of A and B; under q8_0, rows that are no multiple of 32 are f16.

    Returns:
        Sentences for people.

    Raises:
        TinyLMError: before anything is written: no architecture of llama.cpp is that of its base, or a number is too
            large for the number format.
        OSError: the folder cannot be written.

    >>> from tinylm.runs.adapted import read_exported
    >>> write(read_exported("creed", "runs/book"), Path("runs"), "f16")[0]
    'llama.cpp compares no more than architecture and shapes: give it an export of book, on which ...'
    """
    try:
        held = find_architecture(adapter.config.model, "gguf")
    except TinyLMError as error:  # what holds the model holds no adapter
        raise TinyLMError(error.what, where=error.where, remedy=sentences(
            "Make a whole model of the adapter and its base (tinylm merge)", error.remedy)) from None
    alpha, tensors = to_gguf(adapter.additions, held)
    keys = adapter_keys(adapter.name, held.architecture, dtype, alpha, adapter.base.name, adapter.fingerprint)
    write_file(folder / ADAPTER, keys, {
        name: StoredTensor(numbers, tensor_type(name, numbers.shape, dtype)) for name, numbers in tensors.items()})
    return [f"llama.cpp compares no more than architecture and shapes: give it an export of {adapter.base.name}, on "
            "which this adapter was made."]


def to_gguf(additions: Additions, held: Held) -> tuple[float, Weights]:
    """The alpha of a file, and A and B by its names. A file has one alpha: what the scale of an addition differs by is
    in its B.

    >>> from tinylm.config.schema import ModelConfig
    >>> one = Addition(np.ones((2, 8), np.float32), np.ones((8, 2), np.float32), scale=4.0)
    >>> held = find_architecture(ModelConfig(vocab_size=5, d_model=8, n_heads=1), "gguf")
    >>> alpha, tensors = to_gguf({"layers.0.attn.q_proj.weight": one}, held)
    >>> alpha, list(tensors)
    (8.0, ['blk.0.attn_q.weight.lora_a', 'blk.0.attn_q.weight.lora_b'])
    """
    found = dict(_stored(additions, held))
    alpha = next((each.scale * len(each.a) for each in found.values() if each.scale), 1.0)
    tensors: Weights = {}
    for name, (a, b, scale) in found.items():
        tensors[name + A], tensors[name + B] = a, b * np.float32(scale * len(a) / alpha)
    return alpha, tensors


def _stored(additions: Additions, held: Held) -> Iterator[tuple[str, Addition]]:
    """The additions to the matrices of a file. Of those that it stacks in one, some may have none."""
    shapes = {tensor.name: tensor.shape for tensor in parameter_table(held.config)}
    for name, parts in tensor_names(held.config, held.architecture).items():
        if any(part in additions for part in parts):
            yield name, stacked([_rows(part, additions.get(part) or _nothing(shapes[part]), held) for part in parts])


def _rows(name: str, addition: Addition, held: Held) -> Addition:
    return addition._replace(b=rows_to_gguf(name, addition.b, held.config.d_head, held.architecture))


def _nothing(shape: tuple[int, ...]) -> Addition:
    return Addition(np.zeros((0, shape[1]), np.float32), np.zeros((shape[0], 0), np.float32), 0.0)
