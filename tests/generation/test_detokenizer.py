"""Streamed text = unstreamed text, never half a character, never part of a stop text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.generation.detokenizer import Detokenizer
from tinylm.text.tokenizer import Tokenizer

TEXT = "the cat sat on the mat, naïve café, 日本語 🙂 the cat sat again"
BPE = Tokenizer.train("bpe", [TEXT], vocab_size=290)
WORD = Tokenizer.train("word", [TEXT])
CHAR = Tokenizer.train("char", [TEXT])


def streamed(tokenizer, ids, stop=()):
    stream = Detokenizer(tokenizer, stop)
    pieces = []
    for id in ids:
        pieces.append(stream.push(id))
        if stream.stopped:
            break
    return [*pieces, stream.finish()], stream


@settings(derandomize=True, deadline=None, max_examples=100)
@given(data=st.data(), tokenizer=st.sampled_from([BPE, WORD, CHAR]))
def test_any_ids_stream_to_what_decode_says(data, tokenizer):
    """Random ids of a byte-level vocabulary are mostly not UTF-8 at all."""
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=60))
    assert "".join(streamed(tokenizer, ids)[0]) == tokenizer.decode(ids)


def test_no_piece_ends_in_half_a_character():
    pieces, _ = streamed(BPE, BPE.encode(TEXT))
    assert "".join(pieces) == TEXT
    assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize(("stop", "expected"), [
    (("sat",), "the cat "), ((" on the",), "the cat sat"), (("mat", "cat"), "the "), (("never",), TEXT),
    (("the cat sat again!",), TEXT), (("語 🙂 t",), "the cat sat on the mat, naïve café, 日本"), (("",), TEXT),
])
def test_stop_texts_fall_anywhere_between_tokens(stop, expected):
    for tokenizer in (BPE, CHAR):
        pieces, stream = streamed(tokenizer, tokenizer.encode_text(TEXT), stop)
        assert "".join(pieces) == expected
        assert stream.stopped == (expected != TEXT)


def test_nothing_of_a_stop_text_is_ever_shown_early():
    rng = np.random.default_rng(0)
    for _ in range(50):
        text = "".join(rng.choice(list("ab"), 40))
        tokenizer = Tokenizer.train("char", ["ab"])
        pieces, _ = streamed(tokenizer, tokenizer.encode_text(text), ("abba",))
        assert "".join(pieces) == text.split("abba")[0]
