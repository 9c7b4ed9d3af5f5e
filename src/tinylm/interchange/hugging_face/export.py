"""The export to Hugging Face: a folder that transformers 5 and 4.57 open without code of tinylm's.

    model.safetensors        the weights, under the names of the class that holds them
    config.json              the class and the shape
    generation_config.json   the sampling settings
    tokenizer.json, tokenizer_config.json
    README.md                the model card
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.interchange.architectures import Held, find_architecture, with_zeros
from tinylm.interchange.card import make_card
from tinylm.interchange.hugging_face.card import FRONT_MATTER, USE, USE_IN_CHATS
from tinylm.interchange.hugging_face.config import CLASSES, config_json, generation_config_json
from tinylm.interchange.hugging_face.json_file import write_json
from tinylm.interchange.hugging_face.tokenizer import write_tokenizer
from tinylm.interchange.names import to_hugging_face
from tinylm.interchange.notes import TRANSFORMERS, export_notes
from tinylm.interchange.source import Dtype, ExportedModel
from tinylm.model.tensor_file import write_tensors

WEIGHTS, CONFIG, GENERATION_CONFIG, CARD = (
    "model.safetensors", "config.json", "generation_config.json", "README.md")
_DTYPES: dict[str, np.dtype[Any]] = {"f32": np.dtype("<f4"), "f16": np.dtype("<f2")}


def write(model: ExportedModel, folder: Path, dtype: Dtype) -> list[str]:
    """Writes a model as a folder for transformers.

    Args:
        folder: an empty folder.
        dtype: "f32" or "f16".

    Returns:
        Sentences on what is not exact.

    Raises:
        TinyLMError: no class of transformers holds the model, or the format does not hold its numbers; nothing has been
            written then.
        OSError: a file cannot be written.

    >>> from tinylm.interchange.export import read_model
    >>> _ = write(read_model("runs/book"), Path("runs"), "f16")
    >>> (Path("runs") / WEIGHTS).stat().st_size > 2 * 111_872
    True
    """
    held = find_architecture(model.config.model, "hf")
    tensors = _tensors(model, held, dtype)
    notes, specials = _notes(model, held, dtype), model.tokenizer.specials
    write_json(folder / CONFIG, config_json(held, specials, dtype))
    write_json(folder / GENERATION_CONFIG, generation_config_json(model.config.sample, specials))
    write_tokenizer(model.tokenizer, model.config.model.context_length, folder, model.chat_template)
    use = USE_IN_CHATS if model.chat_format else USE
    (folder / CARD).write_bytes(make_card(model.card, notes, front_matter=FRONT_MATTER, use=use).encode())
    write_tensors(folder / WEIGHTS, tensors)
    return notes


def _tensors(model: ExportedModel, held: Held, dtype: Dtype) -> dict[str, NDArray[Any]]:
    """The weights under the names of their class, in numbers of `dtype`."""
    if dtype not in _DTYPES:
        raise TinyLMError(f"transformers reads no weights in {dtype}", where="--dtype",
                          remedy="Choose --dtype f32 or --dtype f16, or the format that has it: --to gguf")
    theirs = to_hugging_face(with_zeros(model.weights, held.config), held.architecture, held.config.n_layers)
    with np.errstate(over="ignore"):
        tensors = {name: array.astype(_DTYPES[dtype], copy=False) for name, array in theirs.items()}
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise TinyLMError(f"{name} holds numbers that are too large for 16 bits", where="--dtype",
                              remedy="Choose --dtype f32")
    return tensors


def _notes(model: ExportedModel, held: Held, dtype: Dtype) -> list[str]:
    notes = export_notes(model, held.config, dtype, TRANSFORMERS)
    if held.config != model.config.model:
        notes.append(f"{CLASSES[held.architecture]} always has biases{_and_positions(held)}: they are zeros where the "
                     "model has none, and training there would change them.")
    return notes


def _and_positions(held: Held) -> str:
    return " and learned positions" if held.architecture == "gpt2" else ""
