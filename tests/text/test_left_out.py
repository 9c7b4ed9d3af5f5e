"""What the ids of a text leave out, and that the bits for it are those of a coder that counts along the way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.text import left_out
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import build_dataset
from tinylm.text.left_out import LeftOut, LossyTokenizer, best_form, measure, share_unknown, white_space
from tinylm.text.split import split_corpus
from tinylm.text.tokenizer import Tokenizer


def coded(texts: Sequence[str]) -> float:
    """The bits of a coder that goes from text to text and counts what it has met."""
    bits, met, letters = 0.0, Counter(), Counter()
    for number, text in enumerate(texts):
        bits -= math.log2((met[text] or 1) / (number + 1))
        if not met[text]:
            for letter in (*text.encode(), "the end"):
                bits -= math.log2((letters[letter] + 1) / (letters.total() + 257))
                letters[letter] += 1
        met[text] += 1
    return bits


@given(st.lists(st.text("ab \né", max_size=4), max_size=30))
def test_the_bits_are_those_of_a_coder_whatever_the_order(texts: list[str]) -> None:
    expected = left_out._contents(Counter(texts))
    assert expected == pytest.approx(coded(texts))
    assert expected == pytest.approx(coded(texts[::-1]))


def test_places_are_as_many_as_there_are_ways() -> None:
    assert left_out._places(10, 3) == pytest.approx(math.log2(11) + math.log2(120))
    assert left_out._places(10, 0) == 0
    assert left_out._places(4, 4) == pytest.approx(math.log2(5))


def slice_of(write, text: str, **options):
    return split_corpus(open_corpus(write("other.txt", text), **options), 0.0).train


WORDS = Tokenizer.train("word", ["rose is red and so are you"])
STRICT = Tokenizer.train("word", ["rose is red and so are you"], unknown_token=False)
LETTERS = Tokenizer.train("char", ["abcdefghijklmnopqrstuvwxyz \n."])


@pytest.mark.parametrize("text", ["rose is red", "so are you and you and you are red"])
def test_what_is_decoded_exactly_is_charged_nothing(write, text: str) -> None:
    assert WORDS.decode(WORDS.encode(text)) == text
    assert measure(slice_of(write, text), WORDS).bits == 0


@pytest.mark.parametrize(("text", "breaks", "indents", "others", "told"), [
    ("rose is\nred\n", 2, 0, 0, "2 line breaks"),
    ("rose is\n    red\n\n  you", 3, 2, 0, "3 line breaks and 2 indents"),
    ("rose  is\tred you", 0, 0, 2, "2 other stretches of white space"),
    (" rose is red\r\nyou ", 1, 0, 2, "1 line break and 2 other stretches of white space"),
    ("rose\xa0is red", 0, 0, 1, "1 other stretch of white space"),
])
def test_white_space_is_counted_by_kind(write, text: str, breaks: int, indents: int, others: int, told: str) -> None:
    from tinylm.text.reading.sources import Options

    found = measure(split_corpus(open_corpus(write("other.txt", text), Options(line_ends="keep")), 0.0).train, WORDS)
    assert (found.line_breaks, found.indents, found.other_spaces) == (breaks, indents, others)
    assert white_space(found) == told
    assert found.bits > 0


def test_unknown_words_are_spelled_and_without_unk_their_places_are_told_too(write) -> None:
    text = slice_of(write, "rose is blue and blue is rose", )
    known, strict = measure(text, WORDS), measure(text, STRICT)
    assert (known.unknown, known.units, known.examples) == (2, 7, ("blue",))
    assert known.bits == pytest.approx(coded(["blue", "blue"]))
    assert strict.bits == pytest.approx(known.bits + math.log2(8) + math.log2(21))


def test_unknown_characters_have_no_ids_and_are_counted(write) -> None:
    text = slice_of(write, "die straße ist naß. " * 10)
    found = measure(text, LETTERS)
    assert (found.unknown, found.units, found.examples) == (20, 200, ("ß",))
    assert share_unknown(found) == "20 of 200 characters (10%)"
    split = split_corpus(text.corpus, 0.0)
    part = build_dataset(split, LossyTokenizer(LETTERS, best_form(text, LETTERS)), least=1).train
    assert part.n_tokens == 180 + 1
    assert part.n_bytes == 220
    assert LETTERS.decode(part.ids[:19]) == "die strae ist na. d"


def test_bytes_leave_nothing_out(write) -> None:
    assert measure(slice_of(write, "Ünknown\n  text 世"), Tokenizer.train("bpe", ["a"])) == LeftOut()


def test_a_text_is_read_in_the_form_that_is_known(write) -> None:
    text = slice_of(write, "thé house ünder thé trée")
    apart = Tokenizer.train("char", ["abcdefghijklmnopqrstuvwxyz \u0301\u0308"])
    assert best_form(text, apart) == "NFD"
    assert measure(text, apart, "NFD") == LeftOut(0.0, "characters", 28, 0, (), form="NFD")
    assert best_form(text, Tokenizer.train("char", ["thé ousünrd"])) == ""


def test_a_typed_special_is_two_words_with_nothing_between(write) -> None:
    tokenizer = Tokenizer.train("word", ["< eos> rose"])
    assert measure(slice_of(write, "rose <eos> rose"), tokenizer).bits > 0


@pytest.mark.parametrize(("unknown", "told"), [(1, "0.001%"), (99_999, "over 99%"), (100_000, "100%"), (30_000, "30%")])
def test_shares_are_told_as_exactly_as_they_are_known(unknown: int, told: str) -> None:
    assert share_unknown(LeftOut(1.0, "words", 100_000, unknown)).endswith(f"words ({told})")
