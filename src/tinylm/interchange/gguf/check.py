"""Checks of an exported GGUF file: read back by tinylm (`read_logits`), and by real llama.cpp where the package
xllamacpp is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinylm.interchange.gguf.export import MODEL
from tinylm.interchange.gguf.importing import read_logits as read_logits
from tinylm.interchange.gguf.llama_cpp import ask


def engine_logits(folder: Path) -> Callable[[Sequence[int]], NDArray[np.float32]]:
    """The logits (T, V) of ids by llama.cpp, with a cache of 32-bit numbers. Each call starts llama.cpp anew.

    Raises:
        TinyLMError: (when called) xllamacpp is not installed, or llama.cpp does not read the file.

    >>> engine_logits(Path("book-gguf"))([1, 5]).shape
    (2, 39)
    """
    return lambda ids: ask(folder / MODEL, sequences=[ids]).logits[0]


def engine_ids(folder: Path) -> Callable[[str], list[int]]:
    """The ids of a text alone by llama.cpp, which reads control tokens in it as llama-server does.

    Raises:
        TinyLMError: as those of `engine_logits`.

    >>> engine_ids(Path("book-gguf"))("the cat")
    [29, 22, 21, 5, 19, 18, 29]
    """
    return lambda text: ask(folder / MODEL, texts=[text]).ids[0]
