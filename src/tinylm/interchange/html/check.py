"""Check of an exported page: its weights are read back from the file, and computed by tinylm's own engine."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.blocks import dequantize, tensor_bytes
from tinylm.interchange.html.export import PAGE, TENSOR_TYPES
from tinylm.model.tensors import Weights
from tinylm.system.untrusted import quoted

_ELEMENT = r'<script type="[^"]*" id="{}">([^<]*)</script>'


def read_logits(folder: Path) -> Callable[[Sequence[int]], NDArray[np.float32]]:
    """The logits (T, V) of ids by the weights in a page. Raises: TinyLMError: it holds no model.

    >>> from tinylm.interchange.export import read_model
    >>> from tinylm.interchange.html.export import write
    >>> notes = write(read_model("runs/notebook"), Path("runs"), "f16")
    >>> read_logits(Path("runs"))([1, 5, 7]).shape
    (3, 12)
    """
    from tinylm.engine.engine import Engine
    from tinylm.engine.kv_cache import SequenceCache

    config, weights = read_page(folder / PAGE)
    engine = Engine(config, weights)

    def logits(ids: Sequence[int]) -> NDArray[np.float32]:
        return engine.read([SequenceCache(config)] * len(ids), list(ids), len(ids)).copy()

    return logits


def read_page(path: Path) -> tuple[ModelConfig, Weights]:
    """The shape and the weights of a page.

    Raises:
        TinyLMError: it is no page of an export.

    >>> from tinylm.interchange.export import export, read_model
    >>> found = export(read_model("runs/notebook"), "html", "notebook.html")
    >>> read_page(Path("notebook.html"))[0].d_model
    32
    """
    try:
        text = path.read_text(encoding="utf-8")
        facts = json.loads(_element(text, "facts"))
        data = memoryview(gzip.decompress(base64.b64decode(_element(text, "weights"), validate=True)))
        return ModelConfig(**facts["config"]), dict(_tensors(facts["tensors"], data))
    except (ValueError, LookupError, TypeError, EOFError, OSError, binascii.Error) as error:
        raise TinyLMError(f"is no page that tinylm wrote ({quoted(error)})", where=str(path)) from None


def _element(text: str, name: str) -> str:
    found = re.search(_ELEMENT.format(name), text)
    if found is None:
        raise ValueError(f"it has no element {name}")
    return found[1]


def _tensors(tensors: Sequence[dict[str, Any]], data: memoryview) -> Sequence[tuple[str, NDArray[np.float32]]]:
    found, start = [], 0
    for tensor in tensors:
        kind = TENSOR_TYPES[tensor["dtype"]]
        end = start + tensor_bytes(kind, math.prod(tensor["shape"]))
        found.append((tensor["name"], dequantize(data[start:end], kind).reshape(tensor["shape"])))
        start = end
    return found
