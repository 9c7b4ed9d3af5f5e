"""Presets and sizes: named partial configs, over which a person's own settings are laid.

    >>> size("0.8M")
    {'model': {'n_layers': 4, 'd_model': 128, 'n_heads': 4}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinylm.config.spelling import match_name
from tinylm.errors import TinyLMError, did_you_mean

PartialConfig = Mapping[str, Mapping[str, Any]]
"""Chosen values by section and field, e.g. {"train": {"learning_rate": 1e-3}}."""


def preset(name: str) -> PartialConfig:
    """The partial config of a preset: "tinylm", "notebook", "gpt2", "llama" or "qwen3".

    Raises:
        TinyLMError: another name.

    >>> preset("llama")
    {'model': {'qk_norm': False, 'norm_eps': 1e-05}}
    """
    known = match_name(str(name), PRESETS)
    if known is None:
        raise TinyLMError(f"there is no preset {name!r}", remedy=did_you_mean(str(name), PRESETS))
    return PRESETS[known]


def size(name: str) -> PartialConfig:
    """The partial config of a size, such as "0.8M". Raises: TinyLMError: an unknown name."""
    known = match_name(str(name), SIZES)
    if known is None:
        raise TinyLMError(f"there is no size {name!r}", remedy=did_you_mean(str(name), SIZES))
    n_layers, d_model, n_heads = SIZES[known]
    return {"model": {"n_layers": n_layers, "d_model": d_model, "n_heads": n_heads}}


PRESETS: dict[str, PartialConfig] = {
    # The default: Qwen3's shape, which Hugging Face and llama.cpp hold exactly.
    "tinylm": {},
    # The teaching notebook, corners included: no positions, padding counted in the loss, no unknown words.
    "notebook": {
        "model": {"context_length": 64, "d_model": 32, "n_layers": 2, "n_heads": 2, "mlp": "relu", "d_mlp": 64,
                  "norm": "layernorm", "norm_position": "post", "norm_eps": 1e-5, "positions": "none",
                  "qk_norm": False, "bias": True, "head_bias": True, "dropout": 0.1, "init": "torch"},
        "data": {"documents": "line", "tokenizer": "word", "unknown_token": False, "validation": 0.0,
                 "packing": "padded"},
        "train": {"epochs": 200, "batch_size": "full", "optimizer": "adam", "learning_rate": 1e-3, "beta2": 0.999,
                  "weight_decay": 0.0, "warmup_steps": 0, "decay": "constant", "grad_clip": 0.0,
                  "loss_on_padding": True},
        "sample": {"greedy": True, "max_tokens": 15},
    },
    "gpt2": {
        "model": {"mlp": "gelu", "norm": "layernorm", "norm_eps": 1e-5, "positions": "learned", "qk_norm": False,
                  "bias": True, "tied_embeddings": True},
    },
    "llama": {"model": {"qk_norm": False, "norm_eps": 1e-5}},
    "qwen3": {"model": {"rope_theta": 1_000_000.0, "tied_embeddings": True}},
}

SIZES: dict[str, tuple[int, int, int]] = {
    # name: n_layers, d_model, n_heads. The name counts the weights inside the layers (12 n_layers d_model^2),
    # which is what the time of a step follows; embedding and head come on top.
    "0.1M": (2, 64, 2),
    "0.3M": (3, 96, 3),
    "0.8M": (4, 128, 4),
    "2M": (4, 192, 6),
    "5M": (6, 256, 4),
    "10M": (6, 384, 6),
    "25M": (8, 512, 8),
    "50M": (12, 576, 9),
    "85M": (12, 768, 12),
    "125M": (18, 768, 12),
}
