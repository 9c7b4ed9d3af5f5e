"""A page's tokenizers make the ids and texts that tinylm's make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from tests.interchange.shapes import make_tokenizer
from tests.page.node import make_folder, run
from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.pretokenizers import PRETOKENIZERS
from tinylm.page.tokenizer_data import tokenizer_data
from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.tokenizer import Tokenizer

BLANKS = " \t\n\u00a0\u1680\u2003\u2028\u3000\u0085\u001c"
PIECES = ["hello", "the", " cat", "don't", "WE'LL", "I'm", "1234", "  ", "\n\n", "<eos>", "<bos>", "<pad>", "...",
          "_x-", *"é»ß漢字🙂\n\t 019'\u00a0\u0085\u3000\ufeff\u1680ǅª²Ⅷ", "e\u0301", "\U0001f468\u200d\U0001f469"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("node"))


def texts_for(tokenizer: Tokenizer, count: int) -> list[str]:
    """Texts of entries and of odd pieces; of words, with every kind of white space and unknown ones."""
    random = np.random.default_rng(5)
    if tokenizer.kind == "char":
        pieces = [tokenizer.token(id) for id in range(3, tokenizer.vocab_size)]
    elif tokenizer.kind == "word":
        pieces = [*(tokenizer.token(id) for id in range(3, tokenizer.vocab_size)), "zebra", "<", "<eos>", *BLANKS * 3]
    else:
        pieces = PIECES
    return ["", *("".join(random.choice(pieces, size=int(random.integers(1, 25)))) for _ in range(count - 1))]


def check(folder: Path, many: dict[str, Tokenizer], count: int) -> None:
    question = [{"data": tokenizer_data(each), "texts": texts_for(each, count)} for each in many.values()]
    results = run(folder, "tokens.mjs", question)
    for (name, tokenizer), asked, found in zip(many.items(), question, results, strict=True):
        for text, ids, decoded in zip(asked["texts"], found["ids"], found["decoded"], strict=True):
            assert ids == tokenizer.encode_prompt(text), (name, text)
            assert decoded == tokenizer.decode(ids), (name, text)
        assert found["tokens"] == tokenizer.tokens(range(tokenizer.vocab_size)), name


def imported(name: str, **changes: Any) -> Tokenizer:
    """A byte-level BPE of another program, with one of llama.cpp's pre-tokenizers."""
    ours, known = json.loads(make_tokenizer("bpe").to_json()), PRETOKENIZERS[name]
    vocab = {entry: id for id, entry in enumerate([*list(ours["model"]["vocab"])[3:], "<|end|>"])}
    end = vocab["<|end|>"]
    data = {**ours, "pre_tokenizer": known.json, "post_processor": None,
            "added_tokens": [{"id": end, "content": "<|end|>", "special": True, "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": False}],
            "model": {**ours["model"], "vocab": vocab, "ignore_merges": known.whole_words}, **changes}
    roles = SpecialTokens(pad=end, bos=None, eos=end, add_bos=False, add_eos=False)
    return Tokenizer.imported(json.dumps(data), roles)


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_ids_and_texts_are_the_same(folder: Path, count: int) -> None:
    many = {kind: make_tokenizer(kind) for kind in ("char", "word", "bpe")}
    many |= {name: imported(name) for name in ("gpt-2", "smollm", "qwen2", "llama-bpe")}
    many["NFC"] = imported("qwen2", normalizer={"type": "NFC"})
    check(folder, many, count)


def test_a_pattern_that_ignores_case_is_spelled_out(folder: Path) -> None:
    split, last = PRETOKENIZERS["qwen2"].json["pretokenizers"]
    pattern = split["pattern"]["Regex"]
    uncased = "(?i:'s|'t|'re|'ve|'m|'ll|'d)" + pattern[pattern.index(")") + 1:]
    parts = {"type": "Sequence", "pretokenizers": [{**split, "pattern": {"Regex": uncased}}, last]}
    check(folder, {"uncased": imported("qwen2", pre_tokenizer=parts)}, 200)


def test_what_a_tokenizer_does_not_know_is_said(folder: Path) -> None:
    char = Tokenizer.train("char", ["abc"])
    word = Tokenizer.train("word", ["how are you"], unknown_token=False)
    question = [{"data": tokenizer_data(char), "texts": ["abcX<Xé"]},
                {"data": tokenizer_data(word), "texts": ["how is you", "<eos>"]}]
    said = [each["ids"] for each in run(folder, "tokens.mjs", question)]
    assert said == [['not in the alphabet of this model: "X", "<", "é"'],
                    ['not in the vocabulary of this model: "is"', 'not in the vocabulary of this model: "<", "eos>"']]


def test_a_long_word_takes_no_time(folder: Path) -> None:
    """100,000 letters without a blank, which merge again and again."""
    bpe = make_tokenizer("bpe")
    text = "hello" * 20_000
    found, = run(folder, "tokens.mjs", [{"data": tokenizer_data(bpe), "texts": [text, "a" * 100_000]}])
    assert found["ids"][0] == bpe.encode_prompt(text)


@pytest.mark.parametrize(("library", "said"), [
    (tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "</s>": 1}, unk_token="a")), "WordLevel"),
    (tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "</s>": 1}, [])), "BPE without byte level")])
def test_other_tokenizers_are_refused_by_name(library: tokenizers.Tokenizer, said: str) -> None:
    library.decoder = tokenizers.decoders.Fuse()
    roles = SpecialTokens(pad=1, bos=None, eos=1, add_bos=False, add_eos=False)
    with pytest.raises(TinyLMError, match=said) as refused:
        tokenizer_data(Tokenizer.imported(library.to_str(), roles))
    assert "--to hf" in refused.value.remedy


@pytest.mark.parametrize(("changes", "said"), [
    ({"normalizer": {"type": "Lowercase"}}, "Lowercase"),
    ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
     "ByteLevel")])
def test_parts_that_a_page_does_not_know_are_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TinyLMError, match=said):
        tokenizer_data(imported("gpt-2", **changes))
