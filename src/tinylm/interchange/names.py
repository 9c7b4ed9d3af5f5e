"""The names of a model's tensors in Hugging Face's files, and the way between the two, in both directions.

Llama's and Qwen3's files hold the same matrices as tinylm, under other names. GPT-2's hold those inside the layers as
(in, out), where tinylm has (out, in), and queries, keys and values as one. Tensors are NumPy arrays by name; nothing
here imports torch.

Source: the classes `LlamaForCausalLM`, `Qwen3ForCausalLM` and `GPT2LMHeadModel` of the package transformers, against
which the tests hold the logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError

Tensors = Mapping[str, NDArray[Any]]
Architecture = Literal["llama", "qwen3", "gpt2"]


@dataclass(frozen=True)
class ModuleNames:
    """The modules of one architecture.

    Attributes:
        modules: tinylm's name -> Hugging Face's, with `i` for the number of a layer. Where several of tinylm's modules
            are one there, its rows are theirs, stacked in this order.
        transposed: the start of the names of the matrices that lie (in, out), not (out, in); empty: there are none.
    """

    modules: Mapping[str, str]
    transposed: str = ""


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

MODULE_NAMES: dict[Architecture, ModuleNames] = {"llama": _LLAMA, "qwen3": _LLAMA, "gpt2": _GPT2}
"""By the `model_type` of a Hugging Face config."""


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
    return {theirs: _turned(np.concatenate([ours[part] for part in parts]), theirs, architecture)
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
        parts = np.split(_turned(array, name, architecture), len(names[name]))
        ours |= zip(names[name], parts, strict=True)
    return ours


def _turned(array: NDArray[Any], theirs: str, architecture: Architecture) -> NDArray[Any]:
    """The transpose, in both directions, of a matrix that lies the other way round there."""
    prefix = MODULE_NAMES[architecture].transposed
    return array.T if prefix and theirs.startswith(prefix) and array.ndim == 2 else array


def _refuse(unknown: set[str], architecture: Architecture) -> None:
    if unknown:
        raise TinyLMError(f"a model of type {architecture} and one of tinylm do not both have {min(unknown)}",
                          remedy="Check its type and its number of layers")
