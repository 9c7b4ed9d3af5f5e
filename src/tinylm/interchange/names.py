"""The names of a model's tensors in Hugging Face's files, and the way between the two, in both directions.

Most files hold the same matrices as tinylm, under other names. GPT-2's hold those inside the layers as (in, out), where
tinylm has (out, in), and queries, keys and values as one; OPT's have two rows of positions that no text reaches.
Tensors are NumPy arrays by name; nothing here imports torch.

Source: the classes of the package transformers, against which the tests hold the names and the logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError

Tensors = Mapping[str, NDArray[Any]]
Architecture = Literal["llama", "qwen3", "arcee", "starcoder2", "gpt2", "mistral", "qwen2", "opt", "gpt_neo"]
"""Kinds of models, by the `model_type` of a Hugging Face config."""


@dataclass(frozen=True)
class ModuleNames:
    """The modules of one architecture.

    Attributes:
        modules: tinylm's name -> Hugging Face's, with `i` for the number of a layer. Where several of tinylm's modules
            are one there, its rows are theirs, stacked in this order.
        transposed: the start of the names of the matrices that lie (in, out), not (out, in); empty: there are none.
        position_offset: rows of the learned positions before that of the first token.
    """

    modules: Mapping[str, str]
    transposed: str = ""
    position_offset: int = 0


_LLAMA = ModuleNames({
    "embed": "model.embed_tokens",
    "layers.i.norm1": "model.layers.i.input_layernorm",
    "layers.i.attn.q_proj": "model.layers.i.self_attn.q_proj",
    "layers.i.attn.k_proj": "model.layers.i.self_attn.k_proj",
    "layers.i.attn.v_proj": "model.layers.i.self_attn.v_proj",
    "layers.i.attn.q_norm": "model.layers.i.self_attn.q_norm",  # Qwen3 alone
    "layers.i.attn.k_norm": "model.layers.i.self_attn.k_norm",
    "layers.i.attn.o_proj": "model.layers.i.self_attn.o_proj",
    "layers.i.norm2": "model.layers.i.post_attention_layernorm",
    "layers.i.mlp.up_proj": "model.layers.i.mlp.up_proj",
    "layers.i.mlp.gate_proj": "model.layers.i.mlp.gate_proj",
    "layers.i.mlp.down_proj": "model.layers.i.mlp.down_proj",
    "ln_f": "model.norm",
    "out_head": "lm_head",
})
_STARCODER2 = ModuleNames({**_LLAMA.modules, "layers.i.mlp.up_proj": "model.layers.i.mlp.c_fc",
                           "layers.i.mlp.down_proj": "model.layers.i.mlp.c_proj"})
_GPT2 = ModuleNames({
    "embed": "transformer.wte",
    "positions": "transformer.wpe",
    "layers.i.norm1": "transformer.h.i.ln_1",
    "layers.i.attn.q_proj": "transformer.h.i.attn.c_attn",
    "layers.i.attn.k_proj": "transformer.h.i.attn.c_attn",
    "layers.i.attn.v_proj": "transformer.h.i.attn.c_attn",
    "layers.i.attn.o_proj": "transformer.h.i.attn.c_proj",
    "layers.i.norm2": "transformer.h.i.ln_2",
    "layers.i.mlp.up_proj": "transformer.h.i.mlp.c_fc",
    "layers.i.mlp.down_proj": "transformer.h.i.mlp.c_proj",
    "ln_f": "transformer.ln_f",
    "out_head": "lm_head",
}, transposed="transformer.h.")

_GPT_NEO = ModuleNames({**_GPT2.modules, **{
    f"layers.i.attn.{ours}": f"transformer.h.i.attn.attention.{theirs}"
    for ours, theirs in (("q_proj", "q_proj"), ("k_proj", "k_proj"), ("v_proj", "v_proj"), ("o_proj", "out_proj"))}})
_OPT = ModuleNames({
    "embed": "model.decoder.embed_tokens",
    "positions": "model.decoder.embed_positions",
    "layers.i.norm1": "model.decoder.layers.i.self_attn_layer_norm",
    "layers.i.attn.q_proj": "model.decoder.layers.i.self_attn.q_proj",
    "layers.i.attn.k_proj": "model.decoder.layers.i.self_attn.k_proj",
    "layers.i.attn.v_proj": "model.decoder.layers.i.self_attn.v_proj",
    "layers.i.attn.o_proj": "model.decoder.layers.i.self_attn.out_proj",
    "layers.i.norm2": "model.decoder.layers.i.final_layer_norm",
    "layers.i.mlp.up_proj": "model.decoder.layers.i.fc1",
    "layers.i.mlp.down_proj": "model.decoder.layers.i.fc2",
    "ln_f": "model.decoder.final_layer_norm",
    "out_head": "lm_head",
}, position_offset=2)

MODULE_NAMES: dict[Architecture, ModuleNames] = {
    "llama": _LLAMA, "qwen3": _LLAMA, "arcee": _LLAMA, "starcoder2": _STARCODER2, "gpt2": _GPT2,
    "mistral": _LLAMA, "qwen2": _LLAMA, "opt": _OPT, "gpt_neo": _GPT_NEO,
}
"""The modules of each architecture. GPT-Neo does not divide the products of queries and keys by the root of d_head:
whoever carries its queries over multiplies them by that root."""


def tensor_names(architecture: Architecture, n_layers: int) -> dict[str, list[str]]:
    """Hugging Face's name of each tensor that a model may have -> the names of tinylm's tensors whose rows it holds.

    >>> tensor_names("gpt2", 1)["transformer.h.0.attn.c_attn.bias"]
    ['layers.0.attn.q_proj.bias', 'layers.0.attn.k_proj.bias', 'layers.0.attn.v_proj.bias']
    """
    found: dict[str, list[str]] = {}
    for ours, theirs in MODULE_NAMES[architecture].modules.items():
        for i in range(n_layers if ours.startswith("layers.") else 1):
            for kind in ("weight", "bias"):
                name = f"{theirs.replace('.i.', f'.{i}.')}.{kind}"
                found.setdefault(name, []).append(f"{ours.replace('.i.', f'.{i}.')}.{kind}")
    return found


def to_hugging_face(ours: Tensors, architecture: Architecture, n_layers: int) -> dict[str, NDArray[Any]]:
    """A model's tensors as Hugging Face's class holds them.

    Args:
        ours: by the names of `TinyLM.state_dict()`.

    Raises:
        TinyLMError: a tensor that this architecture has no name for.

    >>> list(to_hugging_face({"layers.0.norm1.weight": np.ones(8)}, "llama", n_layers=1))
    ['model.layers.0.input_layernorm.weight']
    """
    names = {theirs: parts for theirs, parts in tensor_names(architecture, n_layers).items() if parts[0] in ours}
    _refuse(ours.keys() - {part for parts in names.values() for part in parts}, architecture)
    return {theirs: _to_theirs(_stacked([ours[part] for part in parts]), theirs, architecture)
            for theirs, parts in names.items()}


def from_hugging_face(theirs: Tensors, architecture: Architecture, n_layers: int) -> dict[str, NDArray[Any]]:
    """The tensors of Hugging Face's class as tinylm holds them.

    Args:
        theirs: by the names of the class's `state_dict()`.

    Raises:
        TinyLMError: a tensor that tinylm has no name for.

    >>> list(from_hugging_face({"lm_head.weight": np.ones((5, 8))}, "gpt2", n_layers=1))
    ['out_head.weight']
    """
    names = tensor_names(architecture, n_layers)
    _refuse(theirs.keys() - names.keys(), architecture)
    ours: dict[str, NDArray[Any]] = {}
    for name, array in theirs.items():
        parts = np.split(_to_ours(array, name, architecture), len(names[name]))
        ours |= zip(names[name], parts, strict=True)
    return ours


def _stacked(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """The rows of all parts; of a single one no copy is made."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _to_theirs(array: NDArray[Any], theirs: str, architecture: Architecture) -> NDArray[Any]:
    rows = _extra_rows(theirs, architecture)
    return np.pad(array, ((rows, 0), (0, 0))) if rows else _turned(array, theirs, architecture)


def _to_ours(array: NDArray[Any], theirs: str, architecture: Architecture) -> NDArray[Any]:
    return _turned(array, theirs, architecture)[_extra_rows(theirs, architecture):]


def _extra_rows(theirs: str, architecture: Architecture) -> int:
    """The rows before those that tinylm has."""
    names = MODULE_NAMES[architecture]
    return names.position_offset if theirs == f"{names.modules.get('positions')}.weight" else 0


def _turned(array: NDArray[Any], theirs: str, architecture: Architecture) -> NDArray[Any]:
    """The transpose, in both directions, of a matrix that lies the other way round there."""
    prefix = MODULE_NAMES[architecture].transposed
    return array.T if prefix and theirs.startswith(prefix) and array.ndim == 2 else array


def _refuse(unknown: set[str], architecture: Architecture) -> None:
    if unknown:
        raise TinyLMError(f"a model of type {architecture} and one of tinylm do not both have {min(unknown)}",
                          remedy="Check its type and its number of layers")
