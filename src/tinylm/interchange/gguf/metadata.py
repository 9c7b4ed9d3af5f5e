"""The keys of a GGUF file that say what the model is: its architecture, sizes and sampling settings.

Source: docs/gguf.md of the repository ggml; src/llama-arch.cpp of llama.cpp.
"""

from __future__ import annotations

from typing import Final

from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.interchange.gguf.writer import Value
from tinylm.interchange.names import Architecture
from tinylm.interchange.source import Dtype

CONTINUATION: Final = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""The chat template of a model that was never taught to chat: what was said, to go on from. Without a template
llama.cpp takes ChatML's, whose marks such a model spells letter by letter."""

_FILE_TYPES: dict[Dtype, int] = {"f32": 0, "f16": 1, "q8_0": 7}
"""llama.cpp's numbers for the format of most matrices (llama_ftype)."""


def general_keys(name: str, architecture: Architecture, dtype: Dtype) -> dict[str, Value]:
    """The keys `general.*` but for sampling."""
    return {"general.architecture": architecture, "general.type": "model", "general.name": name,
            "general.file_type": _FILE_TYPES[dtype], "general.quantization_version": 2}


def sampling_keys(sample: SampleConfig) -> dict[str, Value]:
    """The sampling settings that a file can carry; llama.cpp's own defaults would cut off unlikely tokens."""
    settings: dict[str, Value] = {
        "temp": 0.0 if sample.is_greedy else float(sample.temperature), "top_k": sample.top_k,
        "top_p": float(sample.top_p), "min_p": float(sample.min_p), "penalty_last_n": -1,
        "penalty_repeat": float(sample.repetition_penalty)}
    return {f"general.sampling.{name}": value for name, value in settings.items()}


def model_keys(config: ModelConfig, architecture: Architecture) -> dict[str, Value]:
    """The sizes of a model, under the name of its architecture.

    >>> model_keys(ModelConfig(vocab_size=5), "qwen3")["qwen3.attention.key_length"]
    32
    """
    epsilon = "layer_norm_rms_epsilon" if config.norm == "rmsnorm" else "layer_norm_epsilon"
    sizes: dict[str, Value] = {
        "block_count": config.n_layers, "context_length": config.context_length, "embedding_length": config.d_model,
        "feed_forward_length": config.d_mlp, "vocab_size": config.vocab_size, "attention.head_count": config.n_heads,
        "attention.head_count_kv": config.n_kv_heads, "attention.key_length": config.d_head,
        "attention.value_length": config.d_head, f"attention.{epsilon}": float(config.norm_eps)}
    if config.positions == "rotary":
        sizes |= {"rope.dimension_count": config.d_head, "rope.freq_base": float(config.rope_theta)}
    return {f"{architecture}.{name}": value for name, value in sizes.items()}
