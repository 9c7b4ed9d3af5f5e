"""Export to HTML: one page that holds the model and runs it in any browser, offline.

    <script id="facts">     names, settings, tokenizer, tensors: JSON
    <script id="weights">   the numbers of the tensors, in the order of the facts: packed by gzip, in base64
    <script>                the code: the modules of tinylm/page, joined

What comes from the model's folder gets onto the page as text, never as markup (page/single_file.py).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table, total_parameters
from tinylm.interchange.gguf.blocks import TensorType, quantize
from tinylm.interchange.notes import PAGE as READER
from tinylm.interchange.notes import export_notes
from tinylm.interchange.rounding import stored_dtype
from tinylm.interchange.source import Dtype, ExportedModel
from tinylm.page.chat_data import chat_data
from tinylm.page.facts import model_facts
from tinylm.page.markup import json_element
from tinylm.page.single_file import make_page
from tinylm.page.tokenizer_data import tokenizer_data
from tinylm.sampling.sampler import bias_of
from tinylm.system.files import write_atomically

PAGE = "model.html"
"""The name of the page in the folder that `write` fills. The person's own name takes its place."""
GENERATOR = "tinylm export --to html"
"""The mark in the head of a page by which an earlier export is known."""
MANY, TOO_MANY = 25_000_000, 50_000_000
"""Parameters from which on a page is said to be slow to open, and above which it is refused: 36 and 71 MB in 8 bits."""
TENSOR_TYPES: dict[Dtype, TensorType] = {"f32": TensorType.F32, "f16": TensorType.F16, "q8_0": TensorType.Q8_0}


def write(model: ExportedModel, folder: Path, dtype: Dtype) -> list[str]:
    """Writes a model as a page into an empty folder.

    Args:
        dtype: of matrices in the file. Vectors and learned positions are always f32; under q8_0, rows that are no
            multiple of 32 are f16. The page computes in 32 bits.

    Returns:
        Sentences on what is not exact.

    Raises:
        TinyLMError: before anything is written: the model sees the future or is too large, its tokenizer is none that a
            page knows, or a weight is too large for the number format.
        OSError: the page cannot be written.

    >>> from tinylm.interchange.export import read_model
    >>> notes = write(read_model("runs/book"), Path("runs"), "q8_0")
    >>> (Path("runs") / PAGE).read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    facts = json.dumps(page_facts(model, dtype), ensure_ascii=False, separators=(",", ":"))
    weights = base64.b64encode(page_weights(model, dtype)).decode()
    data = f'{json_element("facts", facts)}\n<script type="application/octet-stream" id="weights">{weights}</script>'
    write_atomically(folder / PAGE, make_page("single_file.js", data, name=model.name, generator=GENERATOR,
                                              web_assembly=True))
    return _notes(model, dtype)


def check_held(config: ModelConfig) -> None:
    """Raises: TinyLMError: a page cannot hold a model of this shape.

    >>> check_held(ModelConfig(vocab_size=12, causal=False))
    Traceback (most recent call last):
    tinylm.errors.TinyLMError: model.causal: a model that sees the future writes nothing. ...
    """
    count = total_parameters(config)
    if not config.causal:
        raise TinyLMError("a model that sees the future writes nothing", where="model.causal",
                          remedy="Train it with --set model.causal=true")
    if count > TOO_MANY:
        raise TinyLMError(f"a page holds at most {TOO_MANY:,} parameters, and this model has {count:,}",
                          where="--to html", remedy="Choose --to gguf or --to onnx")


def page_facts(model: ExportedModel, dtype: Dtype) -> dict[str, Any]:
    """The facts of a page, which its code takes as `Facts` (page/session.js).

    Raises:
        TinyLMError: a page cannot hold the model, or its tokenizer.

    >>> from tinylm.interchange.export import read_model
    >>> page_facts(read_model("runs/notebook"), "f16")["tensors"][0]
    {'name': 'embed.weight', 'shape': (12, 32), 'dtype': 'f16'}
    """
    check_held(model.config.model)
    config, sample = model.config, model.config.sample
    return {
        "name": model.name, "card": model.card,
        "parameters": total_parameters(config.model), "dtype": dtype,
        **model_facts(config.model, sample), "bias": list(_bias(model)),
        "tokenizer": tokenizer_data(model.tokenizer),
        "chat": chat_data(model.chat_format, model.tokenizer) if model.chat_format else None,
        "tensors": [{"name": name, "shape": shape, "dtype": stored}
                    for name, shape, stored in _stored_tensors(config.model, dtype)],
    }


def page_weights(model: ExportedModel, dtype: Dtype) -> bytes:
    """The numbers of the tensors, in the order of the facts, packed by gzip.

    >>> from tinylm.interchange.export import read_model
    >>> len(gzip.decompress(page_weights(read_model("runs/notebook"), "f32"))) == 4 * 17_932
    True
    """
    tensors = (_packed(model, name, stored) for name, _, stored in _stored_tensors(model.config.model, dtype))
    return gzip.compress(b"".join(tensors), 6, mtime=0)


def _stored_tensors(config: ModelConfig, dtype: Dtype) -> Iterator[tuple[str, tuple[int, ...], Dtype]]:
    """Name, shape and number format of each tensor, in the order of the file."""
    for tensor in parameter_table(config):
        yield tensor.name, tensor.shape, stored_dtype(tensor.name, tensor.shape, dtype)


def _bias(model: ExportedModel) -> Iterator[tuple[int, float | None]]:
    """Ids with the numbers that are added to their logits; None bans one."""
    bias = bias_of(model.config.sample, model.tokenizer)
    for id in bias.nonzero()[0].tolist():
        yield id, None if bias[id] == -float("inf") else float(bias[id])


def _packed(model: ExportedModel, name: str, dtype: Dtype) -> bytes:
    return quantize(model.weights[name], TENSOR_TYPES[dtype])


def _notes(model: ExportedModel, dtype: Dtype) -> list[str]:
    config = model.config.model
    notes, count = export_notes(model, config, dtype, READER), total_parameters(config)
    slow = f"With {count:,} parameters the page takes some seconds to open, and much memory."
    return [*notes, slow] if count >= MANY else notes
