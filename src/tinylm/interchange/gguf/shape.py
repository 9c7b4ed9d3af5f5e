"""The shape of a foreign GGUF file's model: its keys become a ModelConfig that computes the same, or are refused.

A key that is not known here may change what llama.cpp computes, so that it is an error and not passed over. Source:
src/models/*.cpp and src/llama-arch.cpp of llama.cpp, October 2026.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError, command
from tinylm.interchange.gguf.metadata import ADAPTER, EPSILONS, ROTARY_LENGTH, SETTINGS, VALUE_LENGTH
from tinylm.interchange.gguf.reader import GGUFFile
from tinylm.interchange.names import Architecture
from tinylm.system.untrusted import quoted

_UNGATED = {"norm": "layernorm", "mlp": "gelu", "qk_norm": False, "bias": True}
_GATED = {"norm": "rmsnorm", "mlp": "swiglu", "qk_norm": False}
ARCHITECTURES: Final[dict[str, dict[str, Any]]] = {
    "llama": _GATED, "qwen2": {**_GATED, "bias": True}, "qwen3": {**_GATED, "qk_norm": True},
    "arcee": {**_GATED, "mlp": "squared_relu"}, "starcoder2": _UNGATED, "gpt2": {**_UNGATED, "positions": "learned"},
}
"""Architectures that are read, with the settings that each one always has."""
_READ = frozenset({*SETTINGS.values(), *EPSILONS.values(), VALUE_LENGTH, ROTARY_LENGTH})
"""Keys that `read_shape` reads, without the name of the architecture before them."""


def architecture_of(file: GGUFFile) -> Architecture:
    """The architecture that a file names.

    Raises:
        TinyLMError: it names none that is read here, or is no whole model.

    >>> from tinylm.interchange.gguf.reader import read_gguf
    >>> architecture_of(read_gguf("book-gguf/model.gguf"))
    'qwen3'
    """
    if file.keys.get("general.type") == ADAPTER:
        merge = command("merge", Path(file.where), "OUT", "--base", "MODEL")
        raise TinyLMError("is an adapter, which needs its base to be a model", where=file.where,
                          remedy=f"Merge the two: {merge}")
    name = file.keys.get("general.architecture")
    if name not in ARCHITECTURES or name not in get_args(Architecture):
        raise TinyLMError(f"holds a model of the architecture {quoted(name)}", where=f"{file.where}: "
                          "general.architecture", remedy=f"tinylm holds {', '.join(ARCHITECTURES)}")
    if file.keys.get("general.type", "model") != "model" or file.keys.get("split.count", 1) not in (0, 1):
        raise TinyLMError("holds a part of a model", where=file.where, remedy="Give a file with a whole model")
    return name  # type: ignore[return-value]


def read_shape(file: GGUFFile) -> ModelConfig:
    """The shape of the model of a file.

    Raises:
        TinyLMError: a key is missing or of a wrong kind, or says what tinylm does not compute.

    >>> from tinylm.interchange.gguf.reader import read_gguf
    >>> read_shape(read_gguf("book-gguf/model.gguf")).d_model
    64
    """
    architecture = architecture_of(file)
    keys = _Keys(file, architecture)
    shape = dict(ARCHITECTURES[architecture])
    sizes = ("context_length", "d_model", "n_layers", "n_heads", "d_mlp")
    shape |= {name: keys.whole(SETTINGS[name]) for name in sizes}
    shape["n_kv_heads"] = keys.whole(SETTINGS["n_kv_heads"], shape["n_heads"])
    shape["d_head"] = keys.whole(SETTINGS["d_head"], shape["d_model"] // max(shape["n_heads"], 1))
    shape |= {"vocab_size": _n_rows(file, "token_embd.weight"), "tied_embeddings": "output.weight" not in file.tensors,
              "norm_eps": keys.number(EPSILONS[shape["norm"]])}
    if architecture != "gpt2":
        shape["rope_theta"] = keys.number(SETTINGS["rope_theta"], 10_000.0)
    shape.setdefault("bias", any(name.startswith("blk.") and name.endswith(".bias") for name in file.tensors))
    keys.refuse_others(shape)
    try:
        return ModelConfig(**shape)
    except TinyLMError as error:
        raise TinyLMError(error.what, where=f"{file.where}: {error.where}", remedy=_REMEDY) from None


_REMEDY = "Choose another model"


def _n_rows(file: GGUFFile, name: str) -> int:
    if name not in file.tensors:
        raise TinyLMError(f"lacks the tensor {name}", where=file.where, remedy=_REMEDY)
    return file.tensors[name].shape[0] if file.tensors[name].shape else 0


class _Keys:
    """The keys of a file that its architecture reads."""

    def __init__(self, file: GGUFFile, architecture: str) -> None:
        self.where, self.prefix = file.where, f"{architecture}."
        self.found = {name.removeprefix(self.prefix): value for name, value in file.keys.items()
                      if name.startswith(self.prefix)}

    def refuse(self, name: str, what: str) -> TinyLMError:
        return TinyLMError(what, where=f"{self.where}: {quoted(self.prefix + name)}", remedy=_REMEDY)

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number; or one for each layer, where all are equal."""
        value = self.found.get(name, default)
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.size and (value == value[0]).all():
            value = int(value[0])
        if value is None or isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.refuse(name, "is missing" if value is None else "must be one whole number for all layers")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self.found.get(name, default)
        if value is None or isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse(name, "is missing" if value is None else "must be a number")
        return float(np.float32(value)) if name in self.found and isinstance(value, float) else float(value)

    def refuse_others(self, shape: dict[str, Any]) -> None:
        """Refuses a key that changes the computation, and sizes that tinylm has not apart."""
        for name, value in self.found.items():
            if name in _READ:
                continue
            harmless = _HARMLESS.get(name)
            if harmless is None or not harmless(value, shape):
                raise self.refuse(name, f"is {quoted(value)}, which tinylm does not compute")
        d_head = shape["d_head"]
        for name in (VALUE_LENGTH, ROTARY_LENGTH):
            if self.whole(name, d_head) != d_head:
                raise self.refuse(name, f"is not the width of a head, {d_head}: tinylm does not compute that")
        if self.whole("vocab_size", shape["vocab_size"]) != shape["vocab_size"]:
            raise self.refuse("vocab_size", f"is not the number of rows of the embedding, {shape['vocab_size']}")


def _is(*values: object) -> Callable[[Any, dict[str, Any]], bool]:
    def holds(value: Any, _: dict[str, Any]) -> bool:
        return not isinstance(value, np.ndarray | list) and value in values

    return holds


def _reaches_all(value: Any, shape: dict[str, Any]) -> bool:
    return type(value) is int and (value == 0 or value >= shape["context_length"])


def _is_usual_scale(value: Any, shape: dict[str, Any]) -> bool:
    return type(value) is float and (value == 0 or math.isclose(value, shape["d_head"] ** -0.5, rel_tol=1e-7))


_HARMLESS: Final[dict[str, Callable[[Any, dict[str, Any]], bool]]] = {
    "rope.scaling.type": _is("none"), "rope.scaling.factor": _is(0.0, 1.0), "rope.scale_linear": _is(0.0, 1.0),
    "rope.scaling.finetuned": _is(False), "attention.sliding_window": _reaches_all,
    "attention.scale": _is_usual_scale, "attention.causal": _is(True), "attention.clamp_kqv": _is(0.0),
    "use_parallel_residual": _is(False), "expert_count": _is(0), "expert_used_count": _is(0),
    "logit_scale": _is(0.0, 1.0), "embedding_scale": _is(0.0, 1.0), "residual_scale": _is(0.0, 1.0),
    "attn_logit_softcapping": _is(0.0), "final_logit_softcapping": _is(0.0), "pooling_type": _is(0),
    "tensor_data_layout": _is("reference", "Meta AI original pth"),
}
"""Keys that change nothing, under a condition on their value and the shape."""
