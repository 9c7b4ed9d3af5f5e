"""Architectures: which kind of model of another program computes exactly what a model of tinylm computes.

A program reads a file by the formulas of the architecture that the file names. Five architectures hold most shapes:

    qwen3        RMSNorm, rotary positions, QK-norm, gated MLP: the default preset
    llama        the same without QK-norm, with or without biases
    arcee        the same with an MLP without a gate
    starcoder2   LayerNorm, rotary positions, an MLP without a gate, biases
    gpt2         LayerNorm, learned positions, an MLP without a gate, biases

What an architecture always has and a model lacks (biases, learned positions) is there as zeros. Everything here follows
from the config alone.

Sources: the classes of the package transformers (5.23 and 4.57); src/models/*.cpp of llama.cpp (October 2026).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.names import Architecture
from tinylm.model.tensors import Weights

Target = Literal["hf", "gguf"]
"""Formats whose files name an architecture: a folder for transformers, a file for llama.cpp."""

PROGRAMS: dict[Target, str] = {"hf": "transformers", "gguf": "llama.cpp"}
"""The program that reads a format, for people."""


@dataclass(frozen=True)
class Held:
    """The place of a model in another program.

    Attributes:
        architecture: by its Hugging Face name, which is llama.cpp's, too.
        config: the shape as the architecture has it. It computes the same as the model's own, and may have tensors that
            the model lacks; `with_zeros` makes them.
    """

    architecture: Architecture
    config: ModelConfig


def find_architecture(config: ModelConfig, target: Target) -> Held:
    """The architecture that holds a model of this shape exactly.

    Args:
        target: "hf" (transformers) or "gguf" (llama.cpp).

    Raises:
        TinyLMError: there is none; it names the settings and the formats that hold the model.

    >>> find_architecture(ModelConfig(vocab_size=50), "gguf").architecture
    'qwen3'
    >>> find_architecture(ModelConfig.preset("gpt2", vocab_size=50, positions="none"), "hf").config.positions
    'learned'
    """
    unfit = {name: holds.unfit(config) for name, holds in _HOLDS[target].items()}
    nearest = min(unfit, key=lambda name: (len(_KIND & set(unfit[name])), len(unfit[name])))
    if unfit[nearest]:
        raise _refusal(config, target, nearest, unfit[nearest])
    zeros = _HOLDS[target][nearest].zeros
    return Held(nearest, ModelConfig(**{**config.model_dump(), **zeros}))


def fixed_settings(architecture: Architecture) -> dict[str, Any]:
    """The settings that every model of an architecture has in transformers.

    >>> fixed_settings("starcoder2")
    {'norm': 'layernorm', 'positions': 'rotary', 'qk_norm': False, 'bias': True}
    """
    holds = _HOLDS["hf"][architecture]
    return {**{name: values[0] for name, values in holds.values.items() if len(values) == 1}, **holds.zeros}


def with_zeros(weights: Weights, config: ModelConfig) -> Weights:
    """The weights, and zeros for each tensor of the shape `config` that is not among them.

    >>> config = ModelConfig(vocab_size=5, d_model=8, n_layers=0, positions="learned", context_length=2)
    >>> with_zeros({"embed.weight": np.ones((5, 8), np.float32)}, config)["positions.weight"].shape
    (2, 8)
    """
    return {tensor.name: weights[tensor.name] if tensor.name in weights else np.zeros(tensor.shape, np.float32)
            for tensor in parameter_table(config)}


# ---- what each architecture holds


Rule = Callable[[ModelConfig], bool]


@dataclass(frozen=True)
class _Holds:
    """Shapes that one architecture of one program holds.

    Attributes:
        values: the values that it holds of a setting. A setting that is not named may have any value.
        rules: further conditions, each under the setting that a refusal names.
        zeros: settings as the architecture has them always, whatever the model has.
    """

    values: Mapping[str, tuple[Any, ...]]
    rules: Mapping[str, Rule] = field(default_factory=dict)
    zeros: Mapping[str, Any] = field(default_factory=dict)

    def unfit(self, config: ModelConfig) -> list[str]:
        """The settings whose values it does not hold."""
        wanted = {**_EVERYWHERE, **self.values}
        return [name for name, values in wanted.items() if getattr(config, name) not in values] + [
            name for name, rule in self.rules.items() if not rule(config)]


def _heads_fill_d_model(config: ModelConfig) -> bool:
    return config.n_heads * config.d_head == config.d_model


def _heads_divide_d_model(config: ModelConfig) -> bool:
    return config.d_model % config.n_heads == 0


def _heads_have_keys_of_their_own(config: ModelConfig) -> bool:
    return config.n_kv_heads == config.n_heads


def _llama_cpp_counts_layers(config: ModelConfig) -> bool:
    return 1 <= config.n_layers <= 512


_KIND = {"norm", "positions", "qk_norm", "mlp"}
"""Settings that make a kind of model; the others are its sizes and details."""
_EVERYWHERE = {"norm_position": ("pre",), "head_bias": (False,), "causal": (True,)}
_UNGATED = ("relu", "gelu", "squared_relu")
_QWEN3 = {"norm": ("rmsnorm",), "positions": ("rotary",), "mlp": ("swiglu",), "qk_norm": (True,), "bias": (False,)}
_LLAMA = {"norm": ("rmsnorm",), "positions": ("rotary",), "mlp": ("swiglu",), "qk_norm": (False,)}
_ARCEE = {**_LLAMA, "mlp": _UNGATED}
_STARCODER2 = {**_ARCEE, "norm": ("layernorm",)}
_GPT2 = {**_STARCODER2, "positions": ("learned", "none")}
_GPT2_ZEROS = {"positions": "learned", "bias": True}
_FILL, _DIVIDE, _LAYERS = ({"d_head": _heads_fill_d_model}, {"n_heads": _heads_divide_d_model},
                           {"n_layers": _llama_cpp_counts_layers})

_HOLDS: dict[Target, dict[Architecture, _Holds]] = {
    "hf": {
        "qwen3": _Holds(_QWEN3),
        "llama": _Holds(_LLAMA, _DIVIDE),
        "arcee": _Holds(_ARCEE, _DIVIDE),
        "starcoder2": _Holds(_STARCODER2, zeros={"bias": True}),
        "gpt2": _Holds(_GPT2, {"n_kv_heads": _heads_have_keys_of_their_own, **_FILL}, _GPT2_ZEROS),
    },
    "gguf": {  # its activation function is part of an architecture
        "qwen3": _Holds(_QWEN3, _LAYERS),
        "llama": _Holds(_LLAMA, _LAYERS),
        "arcee": _Holds({**_ARCEE, "mlp": ("squared_relu",), "bias": (False,)}, _LAYERS),
        "starcoder2": _Holds({**_STARCODER2, "mlp": ("gelu",)}, {**_FILL, **_LAYERS}, {"bias": True}),
        "gpt2": _Holds({**_GPT2, "mlp": ("gelu",)}, {**_FILL, **_LAYERS}, _GPT2_ZEROS),
    },
}


# ---- refusals


def _refusal(config: ModelConfig, target: Target, nearest: Architecture, unfit: list[str]) -> TinyLMError:
    told = " and ".join(f"{name} {_as_setting(getattr(config, name))}" for name in unfit)
    return TinyLMError(f"no architecture of {PROGRAMS[target]} computes this model: the nearest, {nearest}, does not "
                       f"have {told}", where=", ".join(f"model.{name}" for name in unfit),
                       remedy=_way_out(config, target))


def _as_setting(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _way_out(config: ModelConfig, target: Target) -> str:
    """The formats that hold the model. ONNX describes each step of a model by itself, and so holds every shape."""
    if not config.causal:
        return "A model that sees the future writes nothing: train it with --set model.causal=true"
    others = [other for other in _HOLDS if other != target
              and not all(holds.unfit(config) for holds in _HOLDS[other].values())]
    return f"Choose another format: {' or '.join(f'--to {name}' for name in (*others, 'onnx'))}"
