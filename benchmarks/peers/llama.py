"""A Llama of transformers with random weights."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def make_llama(shape: dict[str, Any]) -> LlamaForCausalLM:
    """Of a shape in tinylm's words, ready to write."""
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=shape["vocab_size"], hidden_size=shape["d_model"], num_hidden_layers=shape["n_layers"],
        num_attention_heads=shape["n_heads"], intermediate_size=shape["d_mlp"],
        max_position_embeddings=shape["context_length"],
        tie_word_embeddings=shape.get("tied_embeddings", False))).eval()
