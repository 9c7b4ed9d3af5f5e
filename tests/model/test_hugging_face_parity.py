"""The presets are shapes that transformers' own classes hold exactly: the same weights give the same logits.

Every reference model is built here from a config and filled with random numbers; nothing is downloaded.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from tinylm.config.schema import ModelConfig
from tinylm.interchange.names import from_hugging_face
from tinylm.model.transformer import TinyLM

TOLERANCE = 1e-4
SMALL = {"vocab_size": 37, "d_model": 32, "n_layers": 2, "n_heads": 4, "context_length": 16}


def shared_settings(config: ModelConfig) -> dict:
    """Settings that LlamaConfig and Qwen3Config have in common."""
    return {
        "vocab_size": config.vocab_size, "hidden_size": config.d_model, "intermediate_size": config.d_mlp,
        "num_hidden_layers": config.n_layers, "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads, "head_dim": config.d_head, "hidden_act": "silu",
        "max_position_embeddings": config.context_length, "rms_norm_eps": config.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "attention_bias": config.bias, "tie_word_embeddings": config.tied_embeddings,
    }


def llama(config: ModelConfig) -> nn.Module:
    return LlamaForCausalLM(LlamaConfig(**shared_settings(config), mlp_bias=config.bias))


def qwen3(config: ModelConfig) -> nn.Module:
    return Qwen3ForCausalLM(Qwen3Config(**shared_settings(config), use_sliding_window=False))


def gpt2(config: ModelConfig) -> nn.Module:
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=config.vocab_size, n_positions=config.context_length, n_embd=config.d_model,
        n_layer=config.n_layers, n_head=config.n_heads, n_inner=config.d_mlp, activation_function="gelu_new",
        resid_pdrop=config.dropout, embd_pdrop=config.dropout, attn_pdrop=config.dropout,
        layer_norm_epsilon=config.norm_eps, tie_word_embeddings=config.tied_embeddings,
        bos_token_id=1, eos_token_id=2,
    ))


def to_ours(theirs: nn.Module, config: ModelConfig) -> dict[str, Tensor]:
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    ours = from_hugging_face(tensors, theirs.config.model_type, config.n_layers)
    return {name: torch.from_numpy(array) for name, array in ours.items()}


CASES = {
    "gpt2 preset": (gpt2, "gpt2", {"vocab_size": 37}),
    "llama preset": (llama, "llama", {"vocab_size": 37}),
    "qwen3 preset": (qwen3, "qwen3", {"vocab_size": 37}),
    "default preset": (qwen3, "tinylm", {"vocab_size": 37}),
    "gpt2, untied": (gpt2, "gpt2", {**SMALL, "tied_embeddings": False}),
    "llama, grouped": (llama, "llama", {**SMALL, "n_kv_heads": 2}),
    "llama, tied, one kv head": (llama, "llama", {**SMALL, "n_kv_heads": 1, "tied_embeddings": True}),
    "llama, biases, theta": (llama, "llama", {**SMALL, "bias": True, "rope_theta": 333.0}),
    "qwen3, grouped, theta": (qwen3, "qwen3", {**SMALL, "n_kv_heads": 2, "rope_theta": 777.0}),
    "qwen3, untied": (qwen3, "qwen3", {**SMALL, "tied_embeddings": False}),
    "qwen3, wide heads": (qwen3, "qwen3", {**SMALL, "n_kv_heads": 2, "d_head": 12}),
    "default, grouped": (qwen3, "tinylm", {**SMALL, "n_kv_heads": 2}),
}


@pytest.mark.parametrize(("build", "preset", "chosen"), CASES.values(), ids=CASES.keys())
def test_logits_are_those_of_transformers(build, preset, chosen, randomise, make_ids):
    config = ModelConfig.preset(preset, **chosen)
    theirs, ours = build(config).eval(), TinyLM(config).eval()
    randomise(theirs)
    ours.load_state_dict(to_ours(theirs, config))
    ids = make_ids(config, 3, 16)
    with torch.no_grad():
        their_logits, our_logits = theirs(ids).logits, ours(ids)
    assert their_logits.dtype == torch.float32
    assert (their_logits - our_logits).abs().max() <= TOLERANCE
    assert their_logits.std() > 0.5, "too quiet to compare"


@pytest.mark.parametrize(("build", "preset"), [(gpt2, "gpt2"), (llama, "llama"), (qwen3, "qwen3"), (qwen3, "tinylm")])
def test_the_two_have_as_many_parameters(build, preset):
    config = ModelConfig.preset(preset, vocab_size=37)
    theirs, ours = (sum(p.numel() for p in model.parameters()) for model in (build(config), TinyLM(config)))
    assert theirs == ours
