"""Checks of an exported folder: read back by tinylm, and opened by transformers where it is installed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.architectures import Held
from tinylm.interchange.hugging_face.config import read_config_json
from tinylm.interchange.hugging_face.export import CONFIG, WEIGHTS
from tinylm.interchange.names import from_hugging_face, to_hugging_face
from tinylm.model.tensors import Shape, read_tensors
from tinylm.system.extras import missing_extra

Logits = Callable[[Sequence[int]], NDArray[np.float32]]
"""Maps the T ids of a text to the logits (T, V)."""


def read_logits(folder: Path) -> Logits:
    """The logits of an exported folder, by tinylm's own model: the tensors are read back under their names there.

    Raises:
        TinyLMError: the weights are missing, damaged, or not those of the config.

    >>> read_logits(Path("book-hf"))([1, 5]).shape
    (2, 39)
    """
    from tinylm.model_folder import make_model

    held = read_config_json(json.loads((folder / CONFIG).read_bytes()))
    theirs = read_tensors(folder / WEIGHTS, _shapes(held))
    ours = from_hugging_face(theirs, held.architecture, held.config.n_layers)
    return _logits(make_model(held.config, ours).eval())


def _shapes(held: Held) -> dict[str, Shape]:
    """The shape of each tensor under its name there."""
    ours = {tensor.name: np.broadcast_to(np.float32(0), tensor.shape) for tensor in parameter_table(held.config)}
    theirs = to_hugging_face(ours, held.architecture, held.config.n_layers)
    return {name: array.shape for name, array in theirs.items()}


def engine_logits(folder: Path) -> Logits:
    """The logits of a folder by transformers, in numbers of 32 bits.

    Raises:
        TinyLMError: transformers is not installed, or misses a tensor, or has no place for one.

    >>> engine_logits(Path("book-hf"))([1, 5]).shape
    (2, 39)
    """
    transformers = _transformers()
    with _without_progress_bars(transformers.utils.logging):
        model, found = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype="float32", local_files_only=True, output_loading_info=True)
    problems = sorted(str(name) for names in found.values() for name in names)
    if problems:
        raise TinyLMError(f"transformers does not take the weights as they are: {', '.join(problems)}",
                          where=str(folder))
    return _logits(model.eval())


def engine_ids(folder: Path) -> Callable[[str], list[int]]:
    """The ids of a prompt by transformers. Raises: TinyLMError: transformers is not installed.

    >>> engine_ids(Path("book-hf"))("cat")
    [1, 19, 18, 29]
    """
    tokenizer = _transformers().AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return lambda text: list(tokenizer(text)["input_ids"])


def _logits(module: Any) -> Logits:
    """The logits by a torch module of tinylm's or transformers'."""
    import torch

    def logits(ids: Sequence[int]) -> NDArray[np.float32]:
        with torch.no_grad():
            found = module(torch.tensor([list(ids)]))
        return getattr(found, "logits", found)[0].numpy()

    return logits


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise missing_extra("export", "a check by transformers") from None
    return transformers


@contextmanager
def _without_progress_bars(settings: Any) -> Iterator[None]:
    shown = settings.is_progress_bar_enabled()
    settings.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            settings.enable_progress_bar()
