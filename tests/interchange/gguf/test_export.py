"""GGUF files, read by real llama.cpp (the package xllamacpp) and by the package gguf, against the torch module and the
tokenizer that they were made of."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from tests.interchange.shapes import SHAPES, TEXTS, make_model, reference
from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.export import MODEL, MODELFILE, write
from tinylm.interchange.gguf.llama_cpp import Answers, ask, is_installed
from tinylm.interchange.gguf.tokenizer import tokenizer_keys
from tinylm.interchange.source import Dtype, ExportedModel
from tinylm.text.tokenizer import Tokenizer

llama_cpp = pytest.mark.skipif(not is_installed(), reason="xllamacpp is not installed")

HELD = {"default": "qwen3", "narrow heads": "qwen3", "wide heads": "qwen3", "GQA": "qwen3", "MQA": "qwen3",
        "tied": "qwen3", "another theta": "qwen3", "llama": "llama", "llama with biases": "llama", "gpt2": "gpt2",
        "gpt2 untied": "gpt2", "gpt2 without biases": "gpt2", "gpt2 without positions": "gpt2",
        "squared ReLU": "arcee", "LayerNorm, rotary and GELU": "starcoder2"}
"""The shapes that GGUF holds, and their architecture."""
REFUSED = {"gpt2 with relu": "model.mlp", "squared ReLU with QK-norm": "model.mlp", "GELU and RMSNorm": "model.mlp",
           "QK-norm with biases": "model.bias", "notebook": "model.norm_position"}


def exported(folder: Path, shape: str, kind: str, dtype: Dtype = "f32") -> tuple[ExportedModel, Path]:
    model = make_model(shape, kind)
    write(model, folder, dtype)
    return model, folder / MODEL


def sequences(model: ExportedModel, n: int, length: int = 30) -> list[list[int]]:
    """Prompts of a model: <bos> and ids, of many lengths."""
    draw = random.Random(1)
    return [[1, *(draw.randrange(3, model.tokenizer.vocab_size) for _ in range(draw.randrange(length)))]
            for _ in range(n)]


def tolerance(shape: str) -> float:
    """llama.cpp reads GELU from a table of 65,536 entries, one for each 16-bit number, which rounds its input and its
    result to 11 bits: thousandths, in logits as loud as these."""
    return 5e-3 if SHAPES[shape].get("mlp") == "gelu" else 1e-4


def greedy(model: ExportedModel, ids: list[int], given: list[int]) -> tuple[list[int], list[float]]:
    """The torch module's likeliest id at each place of a continuation, and how far it is ahead of the given one."""
    logits = reference(model, [*ids, *given])[len(ids) - 1:-1]
    return logits.argmax(-1).tolist(), (logits.max(-1) - logits[range(len(given)), given]).tolist()


@llama_cpp
@pytest.mark.parametrize("shape", HELD)
def test_logits_and_greedy_tokens_of_llama_cpp_are_those_of_torch(shape: str, tmp_path: Path) -> None:
    check_shape(shape, "char", tmp_path, n_prompts=2)


MORE: dict[str, dict[str, Any]] = {
    "llama with wide heads, tied": {"qk_norm": False, "d_head": 32, "n_kv_heads": 2, "tied_embeddings": True},
    "arcee with narrow heads": {"qk_norm": False, "mlp": "squared_relu", "d_head": 8, "n_kv_heads": 1},
    "gpt2 with GQA": {**SHAPES["gpt2"], "n_kv_heads": 2},
    "starcoder2 with GQA, tied, without biases": {
        "norm": "layernorm", "mlp": "gelu", "qk_norm": False, "n_kv_heads": 1, "tied_embeddings": True},
    "one layer, one head, odd widths": {"d_model": 30, "n_heads": 1, "n_layers": 1, "d_mlp": 17, "norm_eps": 1e-3},
}


@llama_cpp
@pytest.mark.parametrize("shape", MORE)
def test_more_shapes(shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, shape, MORE[shape])
    check_shape(shape, "bpe", tmp_path, n_prompts=2)


@llama_cpp
@pytest.mark.slow
@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("shape", HELD)
def test_logits_and_64_tokens_after_20_prompts(shape: str, kind: str, tmp_path: Path) -> None:
    check_shape(shape, kind, tmp_path, n_prompts=20)


def check_shape(shape: str, kind: str, folder: Path, n_prompts: int) -> None:
    model, path = exported(folder, shape, kind)
    prompts = sequences(model, n_prompts)
    answers = ask(path, sequences=prompts, n_greedy=64)
    for ids, logits, written in zip(prompts, answers.logits, answers.greedy, strict=True):
        assert np.abs(logits - reference(model, ids)).max() < tolerance(shape)
        likeliest, ahead = greedy(model, ids, written)
        assert len(written) == 64
        assert written == likeliest or max(ahead) < tolerance(shape)  # a tie, within the digits of GELU's table


@pytest.mark.parametrize("shape", REFUSED)
def test_a_shape_that_gguf_lacks_is_refused_by_its_setting(shape: str, tmp_path: Path) -> None:
    with pytest.raises(TinyLMError) as raised:
        write(make_model(shape), tmp_path, "f32")
    assert REFUSED[shape] in raised.value.where
    assert "--to onnx" in raised.value.remedy
    assert not list(tmp_path.iterdir())


def test_every_shape_is_held_or_refused() -> None:
    assert HELD.keys() | REFUSED.keys() == SHAPES.keys()


# ---- the second reader


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("dtype", ["f32", "f16", "q8_0"])
def test_the_package_gguf_reads_the_same(kind: str, dtype: Dtype, tmp_path: Path) -> None:
    model, path = exported(tmp_path, "narrow heads", kind, dtype)  # rows of 40 numbers: no multiple of a block
    reader = gguf.GGUFReader(path)
    keys = {name: field.contents() for name, field in reader.fields.items()}
    assert keys["general.architecture"] == "qwen3"
    assert keys["general.file_type"] == {"f32": 0, "f16": 1, "q8_0": 7}[dtype]
    assert keys["qwen3.attention.key_length"] == 10
    assert keys["qwen3.rope.freq_base"] == 10_000
    assert keys["general.sampling.temp"] == pytest.approx(0.8)
    assert len(keys["tokenizer.ggml.tokens"]) == len(set(keys["tokenizer.ggml.tokens"])) == model.tokenizer.vocab_size
    assert keys["tokenizer.ggml.token_type"][:3] == [3, 3, 3]
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert {"F32", dtype.upper(), *(["F16"] if dtype == "q8_0" else [])} == {
        tensor.tensor_type.name for tensor in reader.tensors}
    names = {"token_embd.weight": "embed.weight", "blk.1.ffn_down.weight": "layers.1.mlp.down_proj.weight",
             "blk.0.attn_norm.weight": "layers.0.norm1.weight"}
    for theirs, ours in names.items():
        expected = gguf.quants.quantize(model.weights[ours], tensors[theirs].tensor_type)
        assert tensors[theirs].shape.tolist() == list(model.weights[ours].shape[::-1])
        assert tensors[theirs].data.tobytes() == expected.tobytes()


def test_a_weight_that_16_bits_do_not_hold_is_refused(tmp_path: Path) -> None:
    model = make_model("default")
    model.weights["embed.weight"][3, 5] = 1e6
    with pytest.raises(TinyLMError, match="too large"):
        write(model, tmp_path, "f16")
    assert not list(tmp_path.iterdir())


@llama_cpp
@pytest.mark.parametrize(("dtype", "most"), [("f16", 2e-5), ("q8_0", 1e-2)])
@pytest.mark.parametrize("shape", ["default", "narrow heads", "llama"])
def test_smaller_numbers_change_the_distribution_little(shape: str, dtype: Dtype, most: float, tmp_path: Path) -> None:
    """The mean Kullback-Leibler divergence from the model's own distribution, in nats a token; loud weights."""
    model, path = exported(tmp_path, shape, "bpe", dtype)
    prompts = [ids for ids in sequences(model, 12, length=60) if len(ids) > 8]
    ours = log_softmax(np.concatenate([reference(model, ids) for ids in prompts]))
    theirs = log_softmax(np.concatenate(ask(path, sequences=prompts).logits))
    divergence = float((np.exp(ours) * (ours - theirs)).sum(-1).mean())
    print(f"KL {shape} {dtype}: {divergence:.1e}")
    assert -1e-7 < divergence < most


def log_softmax(logits: Any) -> Any:
    wide = logits.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(-1, keepdims=True))


# ---- tokenizers


def hostile(alphabet: str, n: int, seed: int = 0) -> list[str]:
    """Strings of an alphabet, some with spelled-out special tokens."""
    draw = random.Random(seed)
    return ["".join(draw.choices(alphabet, k=draw.randrange(1, 40))) for _ in range(n)]


ANY = "abc THE 019'st.,!?<>|\\\n\r\t\0\x7f\x85\xa0éßİıǅ漢字ひ한국🙂👨‍👩‍👧\u0301\u200b\u2028▁Ġ\ufeff\ufffd\U0010ffff"
SPELLED = ["<eos>", "<bos>a", "<pad>", "<unk>", "</s>", "<|endoftext|>", "a<eos>b", "[EOS]"]


def texts_of(kind: str, n: int) -> list[str]:
    if kind == "bpe":
        return [*hostile(ANY, n - len(SPELLED)), *SPELLED]
    if kind == "char":
        return hostile("".join(sorted(set(TEXTS["char"]))), n)
    draw, blanks = random.Random(0), [character for character in map(chr, range(0x3001)) if character.isspace()]
    words = TEXTS["word"].split()
    return ["".join(draw.choice(["", *blanks]) + draw.choice(words) + draw.choice(blanks) * draw.randrange(1, 3)
                    for _ in range(draw.randrange(1, 12))) for _ in range(n)]


def check_ids(kind: str, texts: list[str], folder: Path) -> None:
    model, path = exported(folder, "default", kind)
    found = ask(path, texts=texts).ids
    assert [text for text, ids in zip(texts, found, strict=True) if ids != model.tokenizer.encode_text(text)] == []


@llama_cpp
@pytest.mark.parametrize("kind", TEXTS)
def test_ids_of_500_strings(kind: str, tmp_path: Path) -> None:
    check_ids(kind, texts_of(kind, 500), tmp_path)


@llama_cpp
@pytest.mark.slow
@pytest.mark.parametrize("kind", TEXTS)
def test_ids_of_10_000_strings(kind: str, tmp_path: Path) -> None:
    check_ids(kind, texts_of(kind, 10_000), tmp_path)


def scalars() -> Iterator[str]:
    return (chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)


@llama_cpp
@pytest.mark.slow
def test_ids_of_every_unicode_scalar_in_two_surroundings(tmp_path: Path) -> None:
    check_ids("bpe", [text for scalar in scalars() for text in (f"a{scalar}b", f" {scalar} 1")], tmp_path)


@llama_cpp
@pytest.mark.slow
def test_an_alphabet_of_every_unicode_scalar() -> None:
    alphabet = list(scalars())
    tokenizer = Tokenizer.train("char", ["".join(alphabet)])
    tokens: Any = tokenizer_keys(tokenizer, tokenizer.vocab_size)["tokenizer.ggml.tokens"]
    assert len(set(tokens)) == tokenizer.vocab_size == len(alphabet) + 3


@llama_cpp
def test_words_with_letters_that_the_model_of_words_reads_otherwise(tmp_path: Path) -> None:
    model = make_model("default", "word")
    tokenizer = Tokenizer.train("word", ["a b a▁b ▁ a\0b é \ue000 are" + " you" * 9])
    config = model.config.model_copy(update={"model": model.config.model.model_copy(
        update={"vocab_size": tokenizer.vocab_size})})
    weights = {**model.weights, "embed.weight": np.ones((tokenizer.vocab_size, 64), np.float32),
               "out_head.weight": np.ones((tokenizer.vocab_size, 64), np.float32)}
    write(ExportedModel("words", config, tokenizer, weights), tmp_path, "f32")
    texts = ["a b", "a▁b", "b ▁ a", "é \ue000", "\u3000a\x1c\x1fb\x85you", " a  b "]
    assert ask(tmp_path / MODEL, texts=texts).ids == [tokenizer.encode_text(text) for text in texts]


@llama_cpp
def test_control_tokens_and_rows_without_an_entry(tmp_path: Path) -> None:
    """A tokenizer with marks of its own, without <bos>, and an embedding of more rows than it has entries."""
    vocabulary = {"a": 0, "b": 1, "<eos>": 2, "<user>": 3, "<pad>": 4, "é": 5}
    tokenizer = Tokenizer("char", vocabulary, control=["<user>"])
    model = make_model("default")
    config = model.config.model_copy(update={"model": model.config.model.model_copy(update={"vocab_size": 9})})
    weights = {**model.weights, "embed.weight": model.weights["embed.weight"][:9],
               "out_head.weight": model.weights["out_head.weight"][:9]}
    wide = ExportedModel("m", config, tokenizer, weights)
    write(wide, tmp_path, "f32")
    answers = ask(tmp_path / MODEL, texts=["abé<user>ba"], sequences=[[2, 0, 5, 1]])
    assert answers.ids == [[0, 1, 5, 1, 0]]
    assert np.abs(answers.logits[0] - reference(wide, [2, 0, 5, 1])).max() < 1e-4
    keys = gguf.GGUFReader(tmp_path / MODEL).fields
    assert keys["tokenizer.ggml.bos_token_id"].contents() == tokenizer.specials.start == 2
    assert keys["tokenizer.ggml.token_type"].contents() == [1, 1, 3, 3, 3, 1, 5, 5, 5]


@llama_cpp
@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_what_is_typed_never_becomes_a_control_token(kind: str, tmp_path: Path) -> None:
    _, path = exported(tmp_path, "default", kind)
    answers: Answers = ask(path, texts=[*SPELLED, "<|tinylm:eos|> is nobody's text"])
    assert all(not {0, 1, 2} & set(ids) for ids in answers.ids[:-1])


def test_the_modelfile_names_the_model_and_an_end(tmp_path: Path) -> None:
    exported(tmp_path, "default", "char")
    lines = (tmp_path / MODELFILE).read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"FROM ./{MODEL}"
    assert {"PARAMETER num_ctx 96", "PARAMETER num_predict 200", "PARAMETER top_k 0"} <= set(lines)


@llama_cpp
def test_a_file_that_llama_cpp_does_not_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(TinyLMError, match=r"llama\.cpp"):
        ask(tmp_path / "x.gguf", texts=["a"])
