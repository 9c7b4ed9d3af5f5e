"""The names and the layout of a model's tensors in a GGUF file, and the way between the two, in both directions.

Matrices are (out, in), as tinylm's. GPT-2's queries, keys and values are one matrix. Llama's and Arcee's rotary
positions turn neighbouring numbers of a head (0 and 1, 2 and 3, ...) where tinylm turns number i with number
i + d_head / 2, so the rows of their queries and keys lie in another order. Source: src/models/*.cpp of llama.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.names import Architecture
from tinylm.model.tensors import Weights
from tinylm.system.untrusted import quoted

Tensors = Mapping[str, NDArray[Any]]

MODULES = {
    "embed": "token_embd",
    "positions": "position_embd",
    "layers.i.norm1": "blk.i.attn_norm",
    "layers.i.attn.q_proj": "blk.i.attn_q",
    "layers.i.attn.k_proj": "blk.i.attn_k",
    "layers.i.attn.v_proj": "blk.i.attn_v",
    "layers.i.attn.q_norm": "blk.i.attn_q_norm",
    "layers.i.attn.k_norm": "blk.i.attn_k_norm",
    "layers.i.attn.o_proj": "blk.i.attn_output",
    "layers.i.norm2": "blk.i.ffn_norm",
    "layers.i.mlp.up_proj": "blk.i.ffn_up",
    "layers.i.mlp.gate_proj": "blk.i.ffn_gate",
    "layers.i.mlp.down_proj": "blk.i.ffn_down",
    "ln_f": "output_norm",
    "out_head": "output",
}
"""tinylm's modules -> GGUF's, with `i` for the number of a layer. docs/NAMES.md shows the table."""
_GPT2_MODULES = {**MODULES, **{f"layers.i.attn.{part}_proj": "blk.i.attn_qkv" for part in "qkv"}}
_NEIGHBOURS_TURN = frozenset({"llama", "arcee"})
"""Architectures whose rotary positions turn neighbouring numbers."""


def tensor_names(config: ModelConfig, architecture: Architecture) -> dict[str, list[str]]:
    """GGUF's name of each tensor -> the names of tinylm's tensors whose rows it holds, in this order.

    Args:
        config: the shape; its tensors are named.
        architecture: by the name that the file gives it: llama, qwen2, qwen3, gpt2, arcee or starcoder2.

    >>> tensor_names(ModelConfig.preset("gpt2", vocab_size=5, n_layers=1), "gpt2")["blk.0.attn_qkv.bias"]
    ['layers.0.attn.q_proj.bias', 'layers.0.attn.k_proj.bias', 'layers.0.attn.v_proj.bias']
    """
    modules = _GPT2_MODULES if architecture == "gpt2" else MODULES
    found: dict[str, list[str]] = {}
    for tensor in parameter_table(config):
        module, kind = tensor.name.rsplit(".", 1)
        first, _, rest = module.partition(".")
        i, _, inside = rest.partition(".")
        theirs = modules[f"layers.i.{inside}"].replace(".i.", f".{i}.") if first == "layers" else modules[module]
        found.setdefault(f"{theirs}.{kind}", []).append(tensor.name)
    return found


def to_gguf(ours: Tensors, config: ModelConfig, architecture: Architecture) -> dict[str, NDArray[Any]]:
    """A model's tensors as llama.cpp's architecture holds them. Most are views of `ours`.

    Args:
        ours: all tensors of the shape `config`, by the names of `TinyLM.named_parameters()`.

    >>> config = ModelConfig(vocab_size=5, d_model=8, n_heads=2, n_layers=0)
    >>> list(to_gguf({tensor.name: np.ones(tensor.shape) for tensor in parameter_table(config)}, config, "qwen3"))
    ['token_embd.weight', 'output_norm.weight', 'output.weight']
    """
    def turned(name: str) -> NDArray[Any]:
        return rows_to_gguf(name, ours[name], config.d_head, architecture)

    return {theirs: np.concatenate([turned(part) for part in parts]) if len(parts) > 1 else turned(parts[0])
            for theirs, parts in tensor_names(config, architecture).items()}


def check_tensors(theirs: Mapping[str, tuple[int, ...]], config: ModelConfig, architecture: Architecture) -> None:
    """Refuses a list of tensors that is not the one of a shape; biases may be missing.

    Args:
        theirs: the shapes, by the names of the file.

    Raises:
        TinyLMError: a tensor is missing, has another shape, or is one too many.

    >>> config = ModelConfig(vocab_size=5, d_model=8, n_heads=2, n_layers=0, tied_embeddings=True)
    >>> check_tensors({"token_embd.weight": (5, 8)}, config, "qwen3")
    Traceback (most recent call last):
    tinylm.errors.TinyLMError: lacks the tensor output_norm.weight. Choose another file of the model.
    """
    names = tensor_names(config, architecture)
    if unknown := theirs.keys() - names.keys():
        raise TinyLMError(f"has the tensor {quoted(min(unknown))}, which tinylm does not compute with", remedy=_REMEDY)
    for name, shape in _stored_shapes(names, config).items():
        if name not in theirs and not name.endswith(".bias"):
            raise TinyLMError(f"lacks the tensor {name}", remedy=_REMEDY)
        if theirs.get(name, shape) != shape:
            raise TinyLMError(f"has {name} of shape {theirs[name]}, where {shape} belongs", remedy=_REMEDY)


_REMEDY = "Choose another file of the model"


def _stored_shapes(names: Mapping[str, list[str]], config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors that hold the rows of others, by the names of `tensor_names`."""
    shapes = {tensor.name: tensor.shape for tensor in parameter_table(config)}
    return {name: (sum(shapes[part][0] for part in parts), *shapes[parts[0]][1:]) for name, parts in names.items()}


def from_gguf(theirs: Tensors, config: ModelConfig, architecture: Architecture) -> Weights:
    """The tensors of a GGUF file as tinylm holds them. A bias that the file lacks is zeros: Qwen2 has those of queries,
    keys and values alone.

    Args:
        theirs: float32, by the names of the file: those of `check_tensors`.

    >>> config = ModelConfig(vocab_size=5, d_model=8, n_heads=2, n_layers=0, tied_embeddings=True)
    >>> theirs = {"token_embd.weight": np.ones((5, 8)), "output_norm.weight": np.ones(8)}
    >>> list(from_gguf(theirs, config, "qwen3"))
    ['embed.weight', 'ln_f.weight']
    """
    names = tensor_names(config, architecture)
    lengths = {tensor.name: tensor.shape[0] for tensor in parameter_table(config)}
    ours: Weights = {}
    for name, shape in _stored_shapes(names, config).items():
        array = theirs[name] if name in theirs else np.zeros(shape, np.float32)
        ends = np.cumsum([lengths[part] for part in names[name]])
        for part, rows in zip(names[name], np.split(array, ends[:-1]), strict=True):
            ours[part] = rows_from_gguf(part, rows, config.d_head, architecture)
    return ours


def rows_to_gguf(name: str, rows: NDArray[Any], d_head: int, architecture: Architecture) -> NDArray[Any]:
    """The rows of tinylm's tensor `name`, or of something that is added to it, in the order of the architecture.

    >>> rows_to_gguf("layers.0.attn.q_proj.weight", np.arange(4)[:, None], 4, "llama")[:, 0]
    array([0, 2, 1, 3])
    """
    return _neighbours(rows, d_head) if _is_turned(name, architecture) else rows


def rows_from_gguf(name: str, rows: NDArray[Any], d_head: int, architecture: Architecture) -> NDArray[Any]:
    """The way back from `rows_to_gguf`.

    >>> rows_from_gguf("layers.0.attn.q_proj.weight", np.arange(4)[:, None], 4, "llama")[:, 0]
    array([0, 2, 1, 3])
    """
    return _halves(rows, d_head) if _is_turned(name, architecture) else rows


def _is_turned(name: str, architecture: Architecture) -> bool:
    return architecture in _NEIGHBOURS_TURN and (".q_proj." in name or ".k_proj." in name)


def _neighbours(rows: NDArray[Any], d_head: int) -> NDArray[Any]:
    """Rows of heads in which numbers i and i + d_head / 2 of each head become neighbours."""
    return rows.reshape(-1, 2, d_head // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _halves(rows: NDArray[Any], d_head: int) -> NDArray[Any]:
    """The way back from `_neighbours`."""
    return rows.reshape(-1, d_head // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
