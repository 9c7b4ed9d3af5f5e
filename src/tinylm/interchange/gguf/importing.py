"""Import of a GGUF file: the shape, the weights and the tokenizer of a model made elsewhere, or an export come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.foreign_tokenizer import ForeignTokenizer, read_tokenizer
from tinylm.interchange.gguf.names import check_tensors, from_gguf
from tinylm.interchange.gguf.reader import GGUFFile, read_gguf
from tinylm.interchange.gguf.shape import architecture_of, read_shape
from tinylm.interchange.names import Architecture
from tinylm.model.tensors import Weights
from tinylm.text.tokenizer import Tokenizer


class GGUFModel(NamedTuple):
    """The model of a GGUF file.

    Attributes:
        architecture: the name that the file gives it.
        config: its shape.
        weights: float32, by the names of `TinyLM.named_parameters()`.
        tokenizer: tinylm's own, where the file is an export of tinylm.
        notes: sentences for people.
        chat_template: the template of the file, which is never run; empty: it has none.
    """

    architecture: Architecture
    config: ModelConfig
    weights: Weights
    tokenizer: Tokenizer | ForeignTokenizer
    notes: list[str]
    chat_template: str


def import_gguf(path: str | Path) -> GGUFModel:
    """Reads a model of a GGUF file of version 2 or 3, of the architectures in `shape.ARCHITECTURES`.

    Memory: the file and the float32 weights.

    Raises:
        TinyLMError: the file is damaged, or holds what tinylm does not compute exactly; it is named.

    >>> model = import_gguf("book-gguf/model.gguf")
    >>> model.architecture, model.weights["embed.weight"].shape
    ('qwen3', (39, 64))
    """
    file = read_gguf(path)
    architecture, config = architecture_of(file), read_shape(file)
    _check_tensors(file, config, architecture)
    tokenizer = read_tokenizer(file, config.vocab_size)
    weights = from_gguf({name: file.numbers(name) for name in file.tensors}, config, architecture)
    return GGUFModel(architecture, config, weights, tokenizer, _notes(file), _chat_template(file))


def _check_tensors(file: GGUFFile, config: ModelConfig, architecture: Architecture) -> None:
    """Refuses a file whose list of tensors is not that of the shape, before any is decoded. The number of layers, which
    a few bytes can make large, is held against the tensors first."""
    if config.n_layers > len(file.tensors):
        raise TinyLMError(f"is too short for {config.n_layers:,} layers", where=file.where,
                          remedy="Choose another file of the model")
    try:
        check_tensors({name: tensor.shape for name, tensor in file.tensors.items()}, config, architecture)
    except TinyLMError as error:
        raise TinyLMError(error.what, where=file.where, remedy=error.remedy) from None


def _chat_template(file: GGUFFile) -> str:
    template = file.keys.get("tokenizer.chat_template", "")
    return template if isinstance(template, str) else ""


def _notes(file: GGUFFile) -> list[str]:
    quantized = sorted({tensor.kind.name for tensor in file.tensors.values() if tensor.kind.name.startswith("Q")})
    return [f"The weights were stored as {', '.join(quantized)}: the model computes with exactly these numbers, while "
            "llama.cpp also rounds what it multiplies them with."] if quantized else []


def read_logits(folder: Path) -> Callable[[Sequence[int]], NDArray[np.float32]]:
    """The logits (T, V) of ids, by the torch module, of the file `model.gguf` in a folder.

    Raises:
        TinyLMError: as `import_gguf`.

    >>> read_logits(Path("book-gguf"))([1, 5]).shape
    (2, 39)
    """
    model = import_gguf(folder / "model.gguf")
    return torch_logits(model.config, model.weights)


def torch_logits(config: ModelConfig, weights: Weights) -> Callable[[Sequence[int]], NDArray[np.float32]]:
    """The logits (T, V) of ids, by the torch module, of a model.

    >>> model = import_gguf("book-gguf/model.gguf")
    >>> torch_logits(model.config, model.weights)([1, 5]).shape
    (2, 39)
    """
    import torch

    from tinylm.model_folder import make_model

    module = make_model(config, weights).eval()

    def logits(ids: Sequence[int]) -> NDArray[np.float32]:
        with torch.no_grad():
            found: NDArray[np.float32] = module(torch.tensor([list(ids)]))[0].numpy()
            return found

    return logits
