"""Configs of Hugging Face: `config.json`, both ways, and `generation_config.json`.

The files are read by transformers 5 and 4.57 alike. Where the two differ, both spellings are there: `rope_parameters`
and `rope_theta`, `dtype` and `torch_dtype`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.interchange.architectures import Held, fixed_settings
from tinylm.interchange.names import Architecture
from tinylm.interchange.source import Dtype
from tinylm.text.special_tokens import SpecialTokens

CLASSES: dict[str, str] = {"qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM", "arcee": "ArceeForCausalLM",
                           "starcoder2": "Starcoder2ForCausalLM", "gpt2": "GPT2LMHeadModel"}
"""The class of transformers for each architecture that tinylm writes."""

_LLAMA = {"vocab_size": "vocab_size", "context_length": "max_position_embeddings", "d_model": "hidden_size",
          "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads", "n_kv_heads": "num_key_value_heads",
          "d_head": "head_dim", "d_mlp": "intermediate_size", "norm_eps": "rms_norm_eps", "rope_theta": "rope_theta",
          "tied_embeddings": "tie_word_embeddings", "dropout": "attention_dropout", "mlp": "hidden_act"}
_BIASED = {**_LLAMA, "bias": "attention_bias"}
_STARCODER2 = {**_LLAMA, "norm_eps": "norm_epsilon"}
_GPT2 = {"vocab_size": "vocab_size", "context_length": "n_positions", "d_model": "n_embd", "n_layers": "n_layer",
         "n_heads": "n_head", "d_mlp": "n_inner", "norm_eps": "layer_norm_epsilon", "dropout": "resid_pdrop",
         "tied_embeddings": "tie_word_embeddings", "mlp": "activation_function"}
FIELDS: dict[str, dict[str, str]] = {"qwen3": _BIASED, "llama": _BIASED, "arcee": _BIASED, "starcoder2": _STARCODER2,
                                     "gpt2": _GPT2}
"""Settings of a model -> the fields of each architecture's config."""

_ACTIVATIONS = {"swiglu": "silu", "relu": "relu", "gelu": "gelu_pytorch_tanh", "squared_relu": "relu2"}


def config_json(held: Held, specials: SpecialTokens, dtype: Dtype) -> dict[str, Any]:
    """The values of `config.json`.

    Args:
        held: the shape, and the architecture that has it.
        specials: the special tokens of its vocabulary.
        dtype: the format of the numbers beside it.

    >>> held = Held("qwen3", ModelConfig(vocab_size=50, rope_theta=500.0))
    >>> config_json(held, SpecialTokens(), "f16")["rope_parameters"]
    {'rope_type': 'default', 'rope_theta': 500.0}
    >>> config_json(held, SpecialTokens(further_eos=frozenset({7})), "f32")["eos_token_id"]
    [2, 7]
    """
    config, name = held.config, {"f32": "float32", "f16": "float16"}[dtype]
    values = {theirs: getattr(config, ours) for ours, theirs in FIELDS[held.architecture].items()}
    values[FIELDS[held.architecture]["mlp"]] = _ACTIVATIONS[config.mlp]
    return {"architectures": [CLASSES[held.architecture]], "model_type": held.architecture, **values,
            **_further(held), **_ids(specials), "dtype": name, "torch_dtype": name}


def _further(held: Held) -> dict[str, Any]:
    """Fields that say one thing twice, or one that is always the same."""
    config = held.config
    if held.architecture == "gpt2":
        return {"embd_pdrop": config.dropout, "attn_pdrop": config.dropout}
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta}}
    if held.architecture == "starcoder2":
        return {**rope, "use_bias": True, "sliding_window": None, "residual_dropout": config.dropout,
                "embedding_dropout": config.dropout}
    return {**rope, "use_sliding_window": False} if held.architecture == "qwen3" else {**rope, "mlp_bias": config.bias}


def _ids(specials: SpecialTokens) -> dict[str, int | list[int] | None]:
    """The ids by role; a list where several end a text, as transformers has it."""
    ends = [specials.eos, *sorted(specials.further_eos)] if specials.further_eos else specials.eos
    return {"bos_token_id": specials.bos, "eos_token_id": ends, "pad_token_id": specials.pad}


def read_config_json(values: Mapping[str, Any]) -> Held:
    """The shape and architecture that `config_json` wrote down.

    Raises:
        KeyError: other values than those.

    >>> held = Held("arcee", ModelConfig(vocab_size=50, qk_norm=False, mlp="relu"))
    >>> read_config_json(config_json(held, SpecialTokens(), "f32")) == held
    True
    """
    architecture: Architecture = values["model_type"]
    settings = {ours: values[theirs] for ours, theirs in FIELDS[architecture].items()}
    settings["mlp"] = next(ours for ours, theirs in _ACTIVATIONS.items() if theirs == settings["mlp"])
    return Held(architecture, ModelConfig(**{**settings, **fixed_settings(architecture)}))


_SAMPLING = {"temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
             "typical_p": "typical_p"}
_ALWAYS = {"max_tokens": "max_new_tokens", "min_tokens": "min_new_tokens", "repetition_penalty": "repetition_penalty"}
_BEAMS = {"beams": "num_beams", "length_penalty": "length_penalty", "early_stopping": "early_stopping"}


def generation_config_json(sample: SampleConfig, specials: SpecialTokens) -> dict[str, Any]:
    """The values of `generation_config.json`: the sampling settings as far as transformers has them
    (`notes.TRANSFORMERS` lists the others). `temperature`, `top_k` and `top_p` are there although they may be tinylm's
    defaults: those of transformers are others.

    >>> generation_config_json(SampleConfig(max_tokens=20, greedy=True), SpecialTokens())["do_sample"]
    False
    """
    default, fields = SampleConfig(), {**_ALWAYS}
    if sample.beams > 1:
        fields |= _BEAMS
    elif not sample.is_greedy:
        fields |= _SAMPLING
    told = {"max_tokens", "temperature", "top_k", "top_p"}
    values = {theirs: getattr(sample, ours) for ours, theirs in fields.items()
              if ours in told or getattr(sample, ours) != getattr(default, ours)}
    return {"do_sample": sample.beams == 1 and not sample.is_greedy, **values, **_ids(specials)}
