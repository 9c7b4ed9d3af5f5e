"""Import of GGUF files: exports that come back, files that the package gguf writes, and what is refused by name."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from tests.interchange.gguf.test_export import HELD, exported, llama_cpp
from tests.interchange.shapes import TEXTS, make_model, reference
from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.blocks import TensorType
from tinylm.interchange.gguf.foreign_tokenizer import ForeignTokenizer
from tinylm.interchange.gguf.importing import import_gguf, read_logits
from tinylm.interchange.gguf.llama_cpp import ask
from tinylm.interchange.gguf.pretokenizers import PRETOKENIZERS, pretokenizer_name
from tinylm.interchange.gguf.tokenizer import tokenizer_keys
from tinylm.interchange.gguf.writer import StoredTensor, write_file
from tinylm.text.tokenizer import Tokenizer

LETTERS = [*map(chr, range(32, 127)), *"\n\t\r\x85\xa0éüß漢字🙂０١½Ⅷ²’ \u2028\u3000\u0301", "'s", "'LL", "  ",
           "   \n", "12345", " the", " Hello", "\r\n", "<|im_end|>", "<eos>"]


def strings(n: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(LETTERS, k=draw.randrange(1, 40))) for _ in range(n)]


# ---- exports come back


@pytest.mark.parametrize("shape", HELD)
def test_an_export_comes_back_with_the_same_logits(shape: str, tmp_path: Path) -> None:
    model, path = exported(tmp_path, shape, "char")
    back, ids = import_gguf(path), [1, *range(3, 30)]
    assert back.architecture == HELD[shape]
    assert np.abs(read_logits(tmp_path)(ids) - reference(model, ids)).max() < 2e-5
    if back.config.model_dump(exclude={"init"}) == model.config.model.model_dump(exclude={"init"}):
        assert all(np.array_equal(back.weights[name], model.weights[name]) for name in model.weights)


@pytest.mark.parametrize("kind", TEXTS)
def test_an_exported_tokenizer_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    model, path = exported(tmp_path, "default", kind)
    back = import_gguf(path).tokenizer
    assert isinstance(back, Tokenizer)
    assert back.to_json() == model.tokenizer.to_json()


@pytest.mark.parametrize("text", ["abc", "abc " * 3, "a"])
def test_tokenizers_without_merges_come_back(text: str, tmp_path: Path) -> None:
    for kind in ("char", "word"):
        tokenizer = Tokenizer.train(kind, [text])
        assert restored(tokenizer, tmp_path).to_json() == tokenizer.to_json()
    bare = Tokenizer.train("bpe", [""], vocab_size=259)
    assert restored(bare, tmp_path).to_json() == bare.to_json()


def restored(tokenizer: Tokenizer, folder: Path) -> Tokenizer:
    keys = sizes(tokenizer.vocab_size) | tokenizer_keys(tokenizer, tokenizer.vocab_size)
    write_file(folder / "t.gguf", keys, tensors(tokenizer.vocab_size))
    back = import_gguf(folder / "t.gguf").tokenizer
    assert isinstance(back, Tokenizer)
    return back


# ---- files of others


def sizes(n_entries: int, architecture: str = "llama") -> dict[str, Any]:
    """The keys of a model of one layer of width 32."""
    named = {"block_count": 1, "context_length": 64, "embedding_length": 32, "feed_forward_length": 64,
             "attention.head_count": 2, "attention.layer_norm_rms_epsilon": 1e-5, "vocab_size": n_entries}
    return {"general.architecture": architecture, **{f"{architecture}.{name}": value for name, value in named.items()}}


def tensors(n_entries: int) -> dict[str, StoredTensor]:
    """Its tensors, loud and float32."""
    draw = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (n_entries, 32), "output_norm.weight": (32,)}
    shapes |= {f"blk.0.attn_{name}.weight": (32, 32) for name in ("q", "k", "v", "output")}
    shapes |= {"blk.0.ffn_up.weight": (64, 32), "blk.0.ffn_gate.weight": (64, 32), "blk.0.ffn_down.weight": (32, 64),
               "blk.0.attn_norm.weight": (32,), "blk.0.ffn_norm.weight": (32,)}
    return {name: StoredTensor(draw.standard_normal(shape).astype(np.float32), TensorType.F32)
            for name, shape in shapes.items()}


def foreign_keys(pre: str) -> dict[str, Any]:
    """A byte-level BPE as other programs write it: a control token at each end, ids of their own."""
    trained = json.loads(Tokenizer.train("bpe", [TEXTS["bpe"] * 20], vocab_size=330).to_json())["model"]
    entries = ["<|endoftext|>", *list(trained["vocab"])[3:], "<|im_end|>"]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": entries,
            "tokenizer.ggml.token_type": [3, *[1] * (len(entries) - 2), 3],
            "tokenizer.ggml.merges": [" ".join(merge) for merge in trained["merges"]],
            "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": len(entries) - 1}


def foreign(folder: Path, pre: str = "gpt-2", **changed: Any) -> Path:
    """A file whose keys are changed: None removes one."""
    keys = foreign_keys(pre)
    n_entries = len(keys["tokenizer.ggml.tokens"])
    keys = {**sizes(n_entries), **keys, **changed}
    write_file(folder / "f.gguf", {name: value for name, value in keys.items() if value is not None},
               tensors(n_entries))
    return folder / "f.gguf"


@llama_cpp
@pytest.mark.parametrize("pre", PRETOKENIZERS)
def test_ids_are_those_of_llama_cpp(pre: str, tmp_path: Path) -> None:
    path = foreign(tmp_path, pre)
    tokenizer = import_gguf(path).tokenizer
    assert isinstance(tokenizer, ForeignTokenizer)
    library = tokenizers.Tokenizer.from_str(tokenizer.json)
    texts = strings(500)
    assert [library.encode(text).ids for text in texts] == ask(path, texts=texts, parse_special=False).ids
    assert library.decode(library.encode("a héllo, 12").ids) == "a héllo, 12"


@llama_cpp
def test_entries_that_are_found_before_words_are_cut_are_those_of_llama_cpp(tmp_path: Path) -> None:
    keys = foreign_keys("gpt-2")
    more = ["<tool>", "</tool>", "  \n", "漢字"]
    entries, kinds = keys["tokenizer.ggml.tokens"] + more, keys["tokenizer.ggml.token_type"] + [4] * len(more)
    keys |= {"tokenizer.ggml.tokens": entries, "tokenizer.ggml.token_type": kinds}
    write_file(tmp_path / "f.gguf", {**sizes(len(entries)), **keys}, tensors(len(entries)))
    tokenizer = import_gguf(tmp_path / "f.gguf").tokenizer
    assert isinstance(tokenizer, ForeignTokenizer)
    library, draw = tokenizers.Tokenizer.from_str(tokenizer.json), random.Random(1)
    texts = ["".join(draw.choices([*LETTERS, *more * 5], k=draw.randrange(1, 30))) for _ in range(300)]
    found = [library.encode(text).ids for text in texts]
    assert found == ask(tmp_path / "f.gguf", texts=texts, parse_special=False).ids
    assert {id for ids in found for id in ids} >= set(range(len(entries) - len(more), len(entries)))


@llama_cpp
def test_logits_of_a_foreign_file_are_those_of_llama_cpp(tmp_path: Path) -> None:
    path = foreign(tmp_path)
    path.rename(tmp_path / "model.gguf")
    ids = list(range(1, 40))
    (theirs,) = ask(tmp_path / "model.gguf", sequences=[ids]).logits
    assert np.abs(read_logits(tmp_path)(ids) - theirs).max() < 1e-4


def test_roles_and_control_tokens_are_read(tmp_path: Path) -> None:
    model = import_gguf(foreign(tmp_path, **{"tokenizer.chat_template": "{{ messages }}"}))
    tokenizer = model.tokenizer
    assert isinstance(tokenizer, ForeignTokenizer)
    n_entries = len(json.loads(tokenizer.json)["model"]["vocab"])
    assert (tokenizer.specials.bos, tokenizer.specials.eos, tokenizer.add_bos) == (0, n_entries - 1, False)
    assert model.chat_template == "{{ messages }}"


def test_a_pretokenizer_is_found_by_its_json() -> None:
    for name, known in PRETOKENIZERS.items():
        found = pretokenizer_name(known.json, known.whole_words)
        assert found is not None
        assert PRETOKENIZERS[found] == known, name
    assert pretokenizer_name({"type": "Whitespace"}) is None


@pytest.mark.parametrize(("name", "value", "words"), [
    ("general.architecture", "gemma", ""), ("general.type", "mmproj", "a part of a model"),
    ("general.type", "adapter", "is an adapter, which needs its base"),
    ("split.count", 2, "a part of a model"), ("llama.rope.scaling.type", "yarn", ""),
    ("llama.rope.scaling.factor", 8.0, ""), ("llama.attention.sliding_window", 32, ""), ("llama.expert_count", 8, ""),
    ("llama.final_logit_softcapping", 30.0, ""), ("llama.rope.dimension_count", 8, ""),
    ("llama.attention.value_length", 32, ""), ("llama.attention.scale", 0.5, ""), ("llama.something.new", 1, ""),
    ("llama.embedding_scale", 12.0, ""), ("llama.vocab_size", 7, ""), ("llama.block_count", None, ""),
    ("llama.block_count", 900, "too short for 900 layers"), ("llama.attention.head_count", 0, "n_heads"),
    ("llama.attention.head_count", 3, "blk.0.attn_q.weight"), ("llama.attention.head_count_kv", [1, 2], ""),
    ("tokenizer.ggml.model", "llama", "tokenizer.ggml.scores"), ("tokenizer.ggml.model", "bert", ""),
    ("tokenizer.ggml.pre", "gpt-4o", ""),
    ("tokenizer.ggml.pre", None, ""), ("tokenizer.ggml.tokens", ["a", "b"], ""), ("tokenizer.ggml.merges", ["x"], ""),
    ("tokenizer.ggml.merges", ["zz qq"], ""), ("tokenizer.ggml.eos_token_id", None, ""),
    ("tokenizer.ggml.eos_token_id", 1_000_000, ""), ("tokenizer.ggml.add_space_prefix", True, ""),
])
def test_what_is_not_held_is_refused_by_name(name: str, value: Any, words: str, tmp_path: Path) -> None:
    """The error names the key, or says `words`."""
    with pytest.raises(TinyLMError) as caught:
        import_gguf(foreign(tmp_path, **{name: value}))
    assert (words or name) in str(caught.value)


def test_a_tensor_that_no_layer_of_ours_has_is_refused(tmp_path: Path) -> None:
    model = make_model("llama")
    keys = sizes(model.tokenizer.vocab_size) | tokenizer_keys(model.tokenizer, model.tokenizer.vocab_size)
    for name in ("rope_freqs.weight", "blk.0.ffn_gate_inp.weight", "blk.1.attn_q.weight"):
        more = tensors(model.tokenizer.vocab_size)
        more[name] = more["output_norm.weight"]
        write_file(tmp_path / "f.gguf", keys, more)
        with pytest.raises(TinyLMError, match=name):
            import_gguf(tmp_path / "f.gguf")
