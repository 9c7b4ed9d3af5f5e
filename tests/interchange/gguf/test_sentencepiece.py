"""SentencePiece vocabularies of GGUF files: the ids are llama.cpp's and SentencePiece's own."""

from __future__ import annotations

import io
import json
import random
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers

import tinylm
from tests.interchange.gguf.test_export import llama_cpp
from tests.interchange.gguf.test_import import LETTERS, sizes, strings, tensors
from tests.interchange.shapes import TEXTS
from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.foreign_tokenizer import ForeignTokenizer
from tinylm.interchange.gguf.importing import import_gguf
from tinylm.interchange.gguf.llama_cpp import ask
from tinylm.interchange.gguf.sentencepiece import BYTES, scores_of
from tinylm.interchange.gguf.tokenizer import tokenizer_keys
from tinylm.interchange.gguf.writer import write_file
from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.tokenizer import Tokenizer

TEXT = [*"\n".join(TEXTS.values()).replace("漢", "").split("\n"), "aaaa aa aaa    aaaaaaaa", "the  end   of    it",
        "abababa babab ababab", "hello hello world the cat the hat"]


@pytest.fixture(scope="module")
def trained() -> sentencepiece.SentencePieceProcessor:
    """A vocabulary as Llama 2 has one: BPE with bytes, blanks kept, nothing normalised, digits apart."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 20), model_writer=model, model_type="bpe", vocab_size=420, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, split_digits=True, split_by_whitespace=True, minloglevel=2)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def keys_of(trained: sentencepiece.SentencePieceProcessor) -> dict[str, Any]:
    """The keys that llama.cpp's converter writes."""
    ids = range(trained.get_piece_size())
    kinds = [2 if trained.is_unknown(id) else 3 if trained.is_control(id) else 6 if trained.is_byte(id) else 1
             for id in ids]
    return {"model": "llama", "pre": "default", "tokens": [trained.id_to_piece(id) for id in ids],
            "scores": [float(trained.get_score(id)) for id in ids], "token_type": kinds, "bos_token_id": 1,
            "eos_token_id": 2, "unknown_token_id": 0}


def write(folder: Path, keys: dict[str, Any]) -> Path:
    """A file with these keys; None leaves one out."""
    named = {f"tokenizer.ggml.{name}": value for name, value in keys.items() if value is not None}
    write_file(folder / "f.gguf", {**sizes(len(keys["tokens"])), **named}, tensors(len(keys["tokens"])))
    return folder / "f.gguf"


def library(path: Path) -> tokenizers.Tokenizer:
    tokenizer = import_gguf(path).tokenizer
    assert isinstance(tokenizer, ForeignTokenizer)
    return tokenizers.Tokenizer.from_str(tokenizer.json)


def texts(n: int) -> list[str]:
    draw = random.Random(3)
    runs = ["".join(draw.choices("ab ", k=draw.randrange(1, 40))) for _ in range(n // 4)]
    return [*strings(n), *runs, *(" " * n for n in range(8)), *("a" * n for n in range(1, 20)), *TEXT]


@llama_cpp
@pytest.mark.parametrize("adds_blank", [None, True, False])
def test_ids_are_those_of_llama_cpp(trained: Any, adds_blank: bool | None, tmp_path: Path) -> None:
    path = write(tmp_path, {**keys_of(trained), "add_space_prefix": adds_blank})
    ours = library(path)
    assert [ours.encode(text).ids for text in texts(500)] == ask(path, texts=texts(500), parse_special=False).ids


def test_ids_and_texts_are_those_of_sentencepiece(trained: Any, tmp_path: Path) -> None:
    ours = library(write(tmp_path, keys_of(trained)))
    known = [text for text in texts(1000) if "\0" not in text]
    assert [ours.encode(text).ids for text in known] == [trained.encode(text) for text in known]
    assert [ours.decode(ours.encode(text).ids) for text in known] == known
    assert {id for text in known for id in ours.encode(text).ids} & set(range(3, 259)), "no bytes"


@llama_cpp
def test_entries_that_are_found_first_are_those_of_llama_cpp(trained: Any, tmp_path: Path) -> None:
    keys, more = keys_of(trained), ["<tool>", "</tool>", "\n\n"]
    keys |= {"tokens": keys["tokens"] + more, "scores": keys["scores"] + [-1000.0] * 3,
             "token_type": keys["token_type"] + [4] * 3}
    path, draw = write(tmp_path, keys), random.Random(1)
    ours = library(path)
    mixed = ["".join(draw.choices([*LETTERS, *more * 5], k=draw.randrange(1, 30))) for _ in range(300)]
    assert [ours.encode(text).ids for text in mixed] == ask(path, texts=mixed, parse_special=False).ids


def test_an_imported_model_begins_with_bos_keeps_typed_control_and_writes(trained: Any, tmp_path: Path) -> None:
    lm = tinylm.import_model(write(tmp_path, keys_of(trained)), tmp_path / "run")
    text = "hello world </s> é漢\n"
    ids = lm.tokenizer.encode(text)
    assert ids == [1, *trained.encode(text)]
    assert lm.tokenizer.decode(ids) == text
    assert lm.tokenizer.specials.hidden == {0, 1, 2}
    assert lm.generate("hello", max_tokens=5, greedy=True) == lm.generate("hello", max_tokens=5, greedy=True)


@llama_cpp
@pytest.mark.parametrize("adds_blank", [True, False])
def test_it_goes_out_again(trained: Any, adds_blank: bool, tmp_path: Path) -> None:
    lm = tinylm.import_model(write(tmp_path, {**keys_of(trained), "add_space_prefix": adds_blank}), tmp_path / "run")
    assert all(check.is_right for check in lm.export(tmp_path / "out", "gguf", dtype="f32").checks)
    expected = [lm.tokenizer.encode_text(text) for text in texts(500)]
    assert ask(tmp_path / "out" / "model.gguf", texts=texts(500), parse_special=False).ids == expected
    again = tinylm.import_model(tmp_path / "out" / "model.gguf", tmp_path / "again")
    assert [again.tokenizer.encode_text(text) for text in texts(500)] == expected
    assert again.tokenizer.encode("hello") == lm.tokenizer.encode("hello")


@llama_cpp
def test_one_of_transformers_goes_out(trained: Any, tmp_path: Path) -> None:
    """Merges in the order of Hugging Face's converter, which sorts those of one entry by their parts' ids."""
    values = json.loads(import_gguf(write(tmp_path, keys_of(trained))).tokenizer.json)  # type: ignore[union-attr]
    vocab = values["model"]["vocab"]
    groups = groupby(values["model"]["merges"], key="".join)
    values["model"]["merges"] = [pair for _, pairs in groups for pair in sorted(pairs, key=lambda pair: (
        vocab[pair[0]], vocab[pair[1]]))]
    specials = SpecialTokens(2, 1, 2, None, frozenset({0}))
    tokenizer = Tokenizer.imported(json.dumps(values), specials, len(vocab))
    keys = tokenizer_keys(tokenizer, len(vocab))
    write_file(tmp_path / "out.gguf", {**sizes(len(vocab)), **keys}, tensors(len(vocab)))
    found = ask(tmp_path / "out.gguf", texts=texts(500), parse_special=False).ids
    assert found == [tokenizer.encode_text(text) for text in texts(500)]


def test_merges_that_no_scores_say_are_refused() -> None:
    for merges in ([["a", "b"], ["ab", "a"], ["b", "a"], ["a", "ba"]], [["a", "b"], ["ab", "a"]]):
        with pytest.raises(ValueError, match="not in the order"):
            scores_of(["a", "b", "ab", "ba", "aba"], merges)


@pytest.mark.parametrize(("changed", "words"), [
    ({"scores": None}, "scores"), ({"scores": [0.0]}, "one for each entry"),
    ({"scores": lambda keys: [0.0 for _ in keys["tokens"]]}, "have one score"),
    ({"scores": lambda keys: [float("nan") for _ in keys["tokens"]]}, "finite"),
    ({"tokens": lambda keys: ["x<" if token == BYTES[7] else token for token in keys["tokens"]]}, "byte <0x07>"),
    ({"tokens": lambda keys: [*keys["tokens"][:259], "漢a", *keys["tokens"][260:]]}, "character 漢"),
    ({"tokens": lambda keys: [*keys["tokens"][:259], "a" * 300, *keys["tokens"][260:]]}, "300 characters"),
    ({"eos_token_id": None}, "eos_token_id"), ({"add_space_prefix": 3}, "wrong kind"),
])
def test_what_merges_cannot_hold_is_refused(trained: Any, changed: dict[str, Any], words: str, tmp_path: Path) -> None:
    keys = keys_of(trained)
    made = {name: value(keys) if callable(value) else value for name, value in changed.items()}
    with pytest.raises(TinyLMError, match=words):
        import_gguf(write(tmp_path, {**keys, **made}))
