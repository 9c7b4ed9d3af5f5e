"""The compiled way to the ids of a long text against the library's own, which has never heard of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.text import dataset as dataset_module
from tinylm.text import long_text
from tinylm.text import tokenizer as tokenizer_module
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import build_dataset
from tinylm.text.long_text import LongTextEncoder
from tinylm.text.split import split_corpus
from tinylm.text.tokenizer import Tokenizer

SPACES = "\t\n\v\f\r \x1c\x85\xa0\u1680\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u3000\u3001\u167f\u202e"
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(SPACES + "ab'sdt AB10_.,<>|éß世😀\u0301Âáâã", max_size=60),
    st.lists(st.sampled_from(["don't", "we'll", " ", "  ", "\n\n", "def f(x):", "a_b", "<eos>", "x1.y2(", " \xa0"]),
             max_size=30).map("".join),
)


@pytest.fixture(scope="module")
def bpe(small: dict[str, Tokenizer]) -> Tokenizer:
    return small["bpe"]


@pytest.fixture(scope="module")
def library(bpe: Tokenizer) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(bpe.to_json())


@pytest.fixture(scope="module")
def encoder(library: tokenizers.Tokenizer) -> LongTextEncoder:
    return LongTextEncoder(library)


@settings(max_examples=1000)
@given(text=TEXTS)
def test_it_finds_what_the_library_finds(encoder: LongTextEncoder, library: tokenizers.Tokenizer, text: str) -> None:
    assert encoder(text).tolist() == library.encode(text, add_special_tokens=False).ids


@settings(max_examples=200)
@given(texts=st.lists(TEXTS, max_size=5))
def test_with_hardly_any_room_it_finds_the_same(library: tokenizers.Tokenizer, texts: list[str]) -> None:
    """Four words of nine bytes in all are known at a time, and longer ones never."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in (("MAX_WORDS", 4), ("MAX_LETTERS", 9), ("_SLOTS", 8), ("_WORDS_AT_ONCE", 3)):
            patch.setattr(long_text, name, size)
        crowded = LongTextEncoder(library)
    for text in texts:
        assert crowded(text).tolist() == library.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_a_long_text_is_encoded_as_a_short_one(bpe: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                               cores: int) -> None:
    monkeypatch.setattr(dataset_module.os, "cpu_count", lambda: cores)
    split = split_corpus(open_corpus("python-reference"))
    short = build_dataset(split, bpe, cache_dir=tmp_path / "short")
    monkeypatch.setattr(tokenizer_module, "LONG_TEXT", 0)
    long = build_dataset(split, bpe, cache_dir=tmp_path / "long")
    assert np.array_equal(long.train.ids, short.train.ids)
    assert np.array_equal(long.validation.ids, short.validation.ids)
    assert (long.train.ids.dtype, long.train.n_bytes) == (short.train.ids.dtype, short.train.n_bytes)
