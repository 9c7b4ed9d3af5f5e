"""The keys of a GGUF file that say what the model is: its architecture, sizes and sampling settings.

Source: docs/gguf.md of the repository ggml; src/llama-arch.cpp of llama.cpp.
"""

from __future__ import annotations

from typing import Final

from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.interchange.adapter import REVISION
from tinylm.interchange.gguf.writer import Value
from tinylm.interchange.names import Architecture
from tinylm.interchange.source import Dtype

_FILE_TYPES: dict[Dtype, int] = {"f32": 0, "f16": 1, "q8_0": 7}
"""llama.cpp's numbers for the format of most matrices (llama_ftype)."""


SETTINGS: Final = {
    "vocab_size": "vocab_size", "context_length": "context_length", "d_model": "embedding_length",
    "n_layers": "block_count", "n_heads": "attention.head_count", "n_kv_heads": "attention.head_count_kv",
    "d_head": "attention.key_length", "d_mlp": "feed_forward_length", "rope_theta": "rope.freq_base"}
"""Settings of a model -> keys, which stand behind the name of the architecture. docs/NAMES.md shows the table."""
EPSILONS: Final = {"rmsnorm": "attention.layer_norm_rms_epsilon", "layernorm": "attention.layer_norm_epsilon"}
"""The key of `norm_eps`, by the norm."""
VALUE_LENGTH: Final = "attention.value_length"
ROTARY_LENGTH: Final = "rope.dimension_count"
"""Keys of lengths that are `d_head` in every model of tinylm: of a value, and of what is turned by its position."""
SAMPLING: Final = {"temperature": "temp", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
                   "repetition_penalty": "penalty_repeat"}
"""Settings of sampling -> keys, which stand behind general.sampling. docs/NAMES.md shows the table."""


ADAPTER: Final = "adapter"
"""The value of general.type of a file that holds additions to a base, and no model."""
ADAPTER_TYPE: Final = "adapter.type"
LORA: Final = "lora"
ALPHA: Final = "adapter.lora.alpha"
BASE_NAME, BASE_VERSION = "general.base_model.0.name", "general.base_model.0.version"


def general_keys(name: str, architecture: Architecture, dtype: Dtype) -> dict[str, Value]:
    """The keys `general.*` but for sampling.

    >>> general_keys("book", "qwen3", "f16")["general.file_type"]
    1
    """
    return {"general.architecture": architecture, "general.type": "model", "general.name": name,
            "general.file_type": _FILE_TYPES[dtype], "general.quantization_version": 2}


def adapter_keys(name: str, architecture: Architecture, dtype: Dtype, alpha: float, base: str,
                 fingerprint: str) -> dict[str, Value]:
    """The keys of an adapter: low-rank additions, whose scale is alpha / rank.

    Args:
        base: the name of its base.
        fingerprint: of its base's weights, which stands as the version of the base.

    >>> adapter_keys("creed", "qwen3", "f32", 16.0, "english", "f00d")["general.base_model.0.version"]
    'sha256:f00d'
    """
    return {**general_keys(name, architecture, dtype), "general.type": ADAPTER, ADAPTER_TYPE: LORA, ALPHA: alpha,
            "general.base_model.count": 1, BASE_NAME: base, BASE_VERSION: f"{REVISION}{fingerprint}"}


def sampling_keys(sample: SampleConfig) -> dict[str, Value]:
    """The sampling settings that a file can carry; llama.cpp's own defaults would cut off unlikely tokens.

    >>> sampling_keys(SampleConfig(greedy=True, top_k=40))["general.sampling.temp"]
    0.0
    """
    settings: dict[str, Value] = {theirs: getattr(sample, ours) for ours, theirs in SAMPLING.items()}
    settings |= {"penalty_last_n": -1, SAMPLING["temperature"]: 0.0 if sample.is_greedy else sample.temperature}
    return {f"general.sampling.{name}": value for name, value in settings.items()}


def model_keys(config: ModelConfig, architecture: Architecture) -> dict[str, Value]:
    """The sizes of a model, under the name of its architecture.

    >>> model_keys(ModelConfig(vocab_size=5), "qwen3")["qwen3.attention.key_length"]
    32
    """
    keys: dict[str, Value] = {theirs: getattr(config, ours) for ours, theirs in SETTINGS.items()}
    keys |= {VALUE_LENGTH: config.d_head, ROTARY_LENGTH: config.d_head, EPSILONS[config.norm]: config.norm_eps}
    if config.positions != "rotary":
        del keys[ROTARY_LENGTH], keys[SETTINGS["rope_theta"]]
    return {f"{architecture}.{name}": value for name, value in keys.items()}
