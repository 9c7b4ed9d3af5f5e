"""The export to ONNX: a folder that transformers.js runs in a browser or in node, and ONNX Runtime anywhere.

    onnx/model.onnx                  the model; model_fp16.onnx or model_quantized.onnx in smaller numbers
    config.json                      the shape of the cache, and which file to open
    generation_config.json           the sampling settings
    tokenizer.json, tokenizer_config.json
    README.md                        the model card
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.interchange.card import make_card
from tinylm.interchange.hugging_face.config import generation_config_json
from tinylm.interchange.hugging_face.json_file import write_json
from tinylm.interchange.hugging_face.tokenizer import (
    TOKENIZER_CONFIG,
    tokenizer_config_json,
    write_tokenizer,
)
from tinylm.interchange.notes import TRANSFORMERS_JS, export_notes
from tinylm.interchange.onnx.card import FRONT_MATTER, USE
from tinylm.interchange.onnx.config import CACHE_ALONE, FILES, find_held, transformers_js_config
from tinylm.interchange.onnx.graph import make_graph
from tinylm.interchange.onnx.weights import file_bytes
from tinylm.interchange.source import Dtype, ExportedModel

MAX_FILE_BYTES = 1_800_000_000
"""Bytes of weights in one file, at most: its format, protobuf, ends at 2 GiB."""


def write(model: ExportedModel, folder: Path, dtype: Dtype) -> list[str]:
    """Writes a model as a folder with an ONNX graph. All shapes of causal models are held exactly.

    Args:
        folder: an empty folder.
        dtype: of matrices in the file; all are computed with in 32 bits. "q8_0" has 8 bits and a scale for each 32
            numbers of a row.

    Returns:
        Sentences on what is not exact.

    Raises:
        TinyLMError: the model sees the future, is too large for one file, or has weights that are too large for
            `dtype`; or the package onnx is missing. Nothing has been written then.
        OSError: a file cannot be written.

    >>> from tinylm.interchange.export import read_model
    >>> notes = write(read_model("runs/book"), Path("runs"), "q8_0")
    >>> Path("runs/onnx/model_quantized.onnx").is_file()
    True
    """
    config, specials = model.config.model, model.tokenizer.specials
    _check_held(config, dtype)
    data = make_graph(config, model.weights, dtype).SerializeToString()
    notes = _notes(model, dtype)
    (folder / "onnx").mkdir()
    (folder / "onnx" / FILES[dtype]).write_bytes(data)
    write_json(folder / "config.json", transformers_js_config(config, specials, dtype))
    write_json(folder / "generation_config.json", generation_config_json(model.config.sample, specials))
    write_tokenizer(model.tokenizer, config.context_length, folder, model.chat_template)
    write_json(folder / TOKENIZER_CONFIG, _tokenizer_config(model))
    (folder / "README.md").write_bytes(make_card(model.card, notes, front_matter=FRONT_MATTER, use=USE).encode())
    return notes


def _tokenizer_config(model: ExportedModel) -> dict[str, Any]:
    """The config for transformers.js, whose pipelines put `<bos>` before a prompt only if `add_bos_token` asks for it,
    and whose unknown words have no id unless `unk_token` names it."""
    tokenizer = model.tokenizer
    unknown = {} if tokenizer.unk_id is None else {"unk_token": tokenizer.token(tokenizer.unk_id)}
    config = tokenizer_config_json(tokenizer, model.config.model.context_length, model.chat_template)
    return {**config, "add_bos_token": True, **unknown}


def _check_held(config: ModelConfig, dtype: Dtype) -> None:
    if not config.causal:
        raise TinyLMError("a model that sees the future writes nothing", where="model.causal",
                          remedy="Train it with --set model.causal=true")
    size = file_bytes(config, dtype)
    if size > MAX_FILE_BYTES:
        fits = next((f"--dtype {smaller}" for smaller in FILES if file_bytes(config, smaller) <= MAX_FILE_BYTES), "")
        raise TinyLMError(f"a file in ONNX holds at most {MAX_FILE_BYTES / 1e9:.1f} GB, and this model has "
                          f"{size / 1e9:.1f} GB in {dtype}", where="--dtype",
                          remedy=f"Choose {fits or '--to hf or --to gguf'}")


def _notes(model: ExportedModel, dtype: Dtype) -> list[str]:
    config = model.config.model
    notes = export_notes(model, config, dtype, TRANSFORMERS_JS)
    return notes if find_held(config) else [*notes, f"In config.json {CACHE_ALONE}."]
