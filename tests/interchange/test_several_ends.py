"""A model with several tokens that end a text: each program stops at each of them, and imports bring all back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.interchange.gguf.test_server import served
from tests.interchange.shapes import make_model, reference
from tests.interchange.test_import_hf import make_tokenizer
from tinylm.interchange.formats import FORMATS
from tinylm.interchange.gguf.llama_cpp import is_installed
from tinylm.interchange.importing import read_model
from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.tokenizer import Tokenizer

PROMPT, N_TOKENS = "hello there", 24


def model_with_ends(*more):
    """A model, its greedy text after PROMPT, and the number of ids in it up to one that ends it by the last role."""
    model, library = make_model("llama", "bpe"), make_tokenizer().backend_tokenizer.to_str()
    plain = SpecialTokens(1, 0, 1, None, frozenset({2}), frozenset({2, *more}), add_bos=False, add_eos=False)
    prompt = Tokenizer.imported(library, plain, 320).encode_text(PROMPT)
    ids = list(prompt)
    for _ in range(N_TOKENS):
        ids.append(int(reference(model, ids)[-1].argmax()))
    written = ids[len(prompt):]
    length = next(i for i in range(3, N_TOKENS) if 3 <= written[i] < 290 and written[i] not in ids[:len(prompt) + i])
    specials = plain._replace(further_eos=frozenset({2, written[length], *more}))
    return replace(model, tokenizer=Tokenizer.imported(library, specials, 320)), written[:length + 1]


def ends_of(path):
    return json.loads(path.read_text())["eos_token_id"]


def test_transformers_stops_at_each(tmp_path):
    model, written = model_with_ends()
    FORMATS["hf"].write(model, tmp_path, "f32")
    assert ends_of(tmp_path / "config.json") == ends_of(tmp_path / "generation_config.json") == [1, 2, written[-1]]
    prompt = torch.tensor([model.tokenizer.encode_text(PROMPT)])
    found = AutoModelForCausalLM.from_pretrained(tmp_path).generate(
        prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=N_TOKENS)
    assert found[0, prompt.shape[1]:].tolist() == written
    assert read_model(tmp_path).tokenizer.specials.ends == model.tokenizer.specials.ends


@pytest.mark.skipif(not is_installed(), reason="xllamacpp is not installed")
def test_llama_cpp_stops_at_each(tmp_path):
    model, written = model_with_ends()
    FORMATS["gguf"].write(model, tmp_path, "f32")
    [answer] = served(tmp_path / "model.gguf", [("completion", {
        "prompt": PROMPT, "temperature": 0, "max_tokens": N_TOKENS})])
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == len(written)
    assert read_model(tmp_path / "model.gguf").tokenizer.specials.ends == model.tokenizer.specials.ends


def test_onnx_names_each(tmp_path):
    model, written = model_with_ends()
    FORMATS["onnx"].write(model, tmp_path, "f32")
    assert ends_of(tmp_path / "config.json") == ends_of(tmp_path / "generation_config.json") == [1, 2, written[-1]]


def test_more_ends_than_llama_cpp_knows_are_told(tmp_path):
    model, _ = model_with_ends(300)
    notes = FORMATS["gguf"].write(model, tmp_path, "f32")
    assert "4 tokens end a text of this model; llama.cpp knows 3 of them." in notes
