"""Checks of an exported adapter: read back by tinylm, and by real llama.cpp, which adds it to an export of its base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tinylm.interchange.gguf.adapter.export import ADAPTER
from tinylm.interchange.gguf.adapter.importing import read_adapter
from tinylm.interchange.gguf.export import MODEL, write
from tinylm.interchange.gguf.importing import torch_logits
from tinylm.interchange.gguf.llama_cpp import ask
from tinylm.interchange.source import ExportedModel
from tinylm.model.lora import merged

Logits = Callable[[Sequence[int]], NDArray[np.float32]]


def read_logits(folder: Path, base: ExportedModel) -> Logits:
    """The logits (T, V) of ids, by the torch module, of a base with the file `adapter.gguf` in a folder.

    Raises:
        TinyLMError: as `read_adapter` and `GGUFAdapter.additions`.

    >>> from tinylm.interchange.export import read_model
    >>> read_logits(Path("creed-gguf"), read_model("runs/book"))([1, 5]).shape
    (2, 39)
    """
    config = base.config.model
    return torch_logits(config, merged(base.weights, read_adapter(folder / ADAPTER).additions(config)))


def engine_logits(folder: Path, base: ExportedModel) -> Logits:
    """The logits (T, V) of ids by llama.cpp, of an export of a base in 32 bits with the adapter in a folder. Each call
    writes the base and starts llama.cpp anew.

    Raises:
        TinyLMError: (when called) xllamacpp is not installed, or llama.cpp does not read one of the files.

    >>> from tinylm.interchange.export import read_model
    >>> engine_logits(Path("creed-gguf"), read_model("runs/book"))([1, 5]).shape
    (2, 39)
    """
    def logits(ids: Sequence[int]) -> NDArray[np.float32]:
        with TemporaryDirectory() as temporary:
            write(base, Path(temporary), "f32")
            return ask(Path(temporary) / MODEL, adapter=folder / ADAPTER, sequences=[ids]).logits[0]

    return logits
