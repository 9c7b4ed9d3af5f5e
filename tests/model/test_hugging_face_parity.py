"""The presets are shapes that transformers' own classes hold exactly: the same weights give the same logits.

Every reference model is built here from a config and filled with random numbers; nothing is downloaded.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from tinylm.config.schema import ModelConfig
from tinylm.model.transformer import TinyLM

TOLERANCE = 1e-4
SMALL = {"vocab_size": 37, "d_model": 32, "n_layers": 2, "n_heads": 4, "context_length": 16}


def shared_settings(config: ModelConfig) -> dict:
    """What LlamaConfig and Qwen3Config have in common."""
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


LLAMA_NAMES = {
    "model.embed_tokens.": "embed.", "model.layers.": "layers.", ".self_attn.": ".attn.", "model.norm.": "ln_f.",
    ".input_layernorm.": ".norm1.", ".post_attention_layernorm.": ".norm2.", "lm_head.": "out_head.",
}
GPT2_NAMES = {
    "transformer.wte.": "embed.", "transformer.wpe.": "positions.", "transformer.h.": "layers.",
    "transformer.ln_f.": "ln_f.", ".ln_1.": ".norm1.", ".ln_2.": ".norm2.", ".attn.c_proj.": ".attn.o_proj.",
    ".mlp.c_fc.": ".mlp.up_proj.", ".mlp.c_proj.": ".mlp.down_proj.", "lm_head.": "out_head.",
}


def renamed(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        name = name.replace(old, new)
    return name


def from_llama(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Llama's and Qwen3's tensors under our names."""
    return {renamed(name, LLAMA_NAMES): tensor for name, tensor in weights.items()}


def from_gpt2(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """GPT-2 stores its matrices (in, out), and q, k and v side by side in one."""
    ours = {}
    for name, tensor in weights.items():
        if ".c_" in name and name.endswith("weight"):
            tensor = tensor.T
        if ".c_attn." in name:
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                ours[renamed(name.replace("c_attn", f"{part}_proj"), GPT2_NAMES)] = third
        else:
            ours[renamed(name, GPT2_NAMES)] = tensor
    return ours


CASES = {
    "gpt2 preset": (gpt2, from_gpt2, "gpt2", {"vocab_size": 37}),
    "llama preset": (llama, from_llama, "llama", {"vocab_size": 37}),
    "qwen3 preset": (qwen3, from_llama, "qwen3", {"vocab_size": 37}),
    "default preset": (qwen3, from_llama, "tinylm", {"vocab_size": 37}),
    "gpt2, untied": (gpt2, from_gpt2, "gpt2", {**SMALL, "tied_embeddings": False}),
    "llama, grouped": (llama, from_llama, "llama", {**SMALL, "n_kv_heads": 2}),
    "llama, tied, one kv head": (llama, from_llama, "llama", {**SMALL, "n_kv_heads": 1, "tied_embeddings": True}),
    "llama, biases, theta": (llama, from_llama, "llama", {**SMALL, "bias": True, "rope_theta": 333.0}),
    "qwen3, grouped, theta": (qwen3, from_llama, "qwen3", {**SMALL, "n_kv_heads": 2, "rope_theta": 777.0}),
    "qwen3, untied": (qwen3, from_llama, "qwen3", {**SMALL, "tied_embeddings": False}),
    "default, grouped": (qwen3, from_llama, "tinylm", {**SMALL, "n_kv_heads": 2}),
}


@pytest.mark.parametrize(("build", "convert", "preset", "chosen"), CASES.values(), ids=CASES.keys())
def test_logits_are_those_of_transformers(build, convert, preset, chosen, randomise, make_ids):
    config = ModelConfig.preset(preset, **chosen)
    theirs, ours = build(config).eval(), TinyLM(config).eval()
    randomise(theirs)
    ours.load_state_dict(convert(theirs.state_dict()))
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
