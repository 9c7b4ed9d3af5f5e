"""Import of GGUF files of Qwen2 and Qwen3: models of transformers with random weights, written by the package gguf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers

import tinylm
from tests.interchange.gguf.test_export import llama_cpp
from tests.interchange.gguf.test_import import foreign_keys, strings
from tinylm.interchange.gguf.llama_cpp import ask
from tinylm.interchange.importing import import_model

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 96, "rope_theta": 1e6}
MORE = {"qwen2": {"tie_word_embeddings": True}, "qwen3": {"head_dim": 16, "tie_word_embeddings": False}}
N_GREEDY = 64


def write(path: Path, kind: str) -> torch.nn.Module:
    """A file of a model with loud random weights. Returns the model in transformers."""
    vocabulary = foreign_keys("qwen2")
    n_entries = len(vocabulary["tokenizer.ggml.tokens"])
    config = transformers.AutoConfig.for_model(kind, vocab_size=n_entries, **SIZES, **MORE[kind])
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.3)
    writer = gguf.GGUFWriter(path, kind)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(1e6)
    if kind == "qwen3":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    add: dict[type, Any] = {str: writer.add_string, int: writer.add_uint32, list: writer.add_array}
    for name, value in vocabulary.items():
        add[type(value)](name, value)
    names = gguf.get_tensor_name_map({"qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}[kind], 2)
    for name, parameter in model.named_parameters():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), parameter.detach().numpy())
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return model


@llama_cpp
@pytest.mark.parametrize("kind", MORE)
def test_logits_texts_and_ids_are_those_of_transformers_and_llama_cpp(kind: str, tmp_path: Path) -> None:
    theirs = write(tmp_path / "model.gguf", kind)
    import_model(tmp_path / "model.gguf", tmp_path / "out")
    lm = tinylm.load(tmp_path / "out")
    ids, texts = list(range(1, 31)), strings(200)
    with torch.no_grad():
        expected, ours = theirs(torch.tensor([ids])).logits[0].numpy(), lm.model(torch.tensor([ids]))[0].numpy()
    answers = ask(tmp_path / "model.gguf", sequences=[ids], n_greedy=N_GREEDY, texts=texts, parse_special=False)
    assert expected.std() > 1, "too quiet to compare"
    assert np.abs(ours - expected).max() < 1e-4
    assert np.abs(ours - answers.logits[0]).max() < 1e-4
    written = lm.complete(ids, greedy=True, min_tokens=N_GREEDY, max_tokens=N_GREEDY).ids
    assert written == answers.greedy[0]
    assert [lm.tokenizer.encode_text(text) for text in texts] == answers.ids
