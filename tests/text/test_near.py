"""Near forms: which are taken, which are named, and that a text in a known alphabet is left as it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.text.near import NearCharacters, NearLineEnds, NearWords, describe_characters

LATIN = "abcdefghijklmnopqrstuvwxyz \n."
TAKEN = {
    "one code point for two": ("thé", LATIN + "\u0301", "the\u0301"),
    "two code points for one": ("the\u0301", LATIN + "é", "thé"),
    "Vietnamese, half composed": ("\u1ec7", "ê\u0323", "ê\u0323"),
    "Hangul in letters": ("한글", unicodedata.normalize("NFD", "한글"), unicodedata.normalize("NFD", "한글")),
    "Hangul in syllables": (unicodedata.normalize("NFD", "한글"), "한글", "한글"),
    "the sign for Angstrom": ("\u212b", "Å", "Å"),
    "full width": ("ａｂ", LATIN, "ab"),
    "half width": ("a", "ａ", "ａ"),
    "half-width katakana with a voice mark": ("ｶﾞﾊﾞ", "ガバ", "ガバ"),
    "a ligature": ("ﬁn", LATIN, "fin"),
    "an Arabic letter in its joined shape": ("\ufedf\u0627", "لا", "لا"),
    "an ellipsis": ("a…", LATIN, "a..."),
    "three dots": ("a...", "abc…", "a…"),
    "an apostrophe for a curly one": ("child's", LATIN + "’“”", "child’s"),
    "a curly one for an apostrophe": ("child’s", LATIN + "'", "child's"),
    "double quotes by their place": ('"yes" "no."', LATIN + "“”", "“yes” “no.”"),
    "German quotes by their place": ('sag "ja"', LATIN + "„“", "sag „ja“"),
    "the only dash": ("a–b—c", LATIN + "-", "a-b-c"),
    "spaces": ("a\xa0b\u202fc\u3000d\te", LATIN, "a b c d e"),
    "line ends": ("a\r\nb\rc\u2028d", LATIN, "a\nb\nc\nd"),
    "line feeds for a text of CR": ("a\nb", "ab\r", "a\rb"),
    "what cannot be seen": ("\ufeffa\u200bb\xad", LATIN, "ab"),
}


@pytest.mark.parametrize("case", TAKEN)
def test_the_only_near_form_is_taken(case: str) -> None:
    text, alphabet, expected = TAKEN[case]
    reading = NearCharacters(alphabet).read(text)
    assert reading.text == expected
    assert reading.unknown == {}
    assert reading.replaced
    assert all(typed in text for typed, _ in reading.replaced)


NAMED = {
    "another case": ("T", LATIN, ["t"]),
    "upper case alone": ("t", LATIN.upper(), ["T"]),
    "no accent": ("é", LATIN, ["e"]),
    "two dashes": ("–", LATIN + "-—", ["-", "—"]),
    "an apostrophe at the beginning of a word": ("'", LATIN + "‘’", ["’", "‘"]),
    "a power": ("²", "0123", ["2"]),
    "sharp s": ("ß", LATIN, ["ss"]),
    "a Latin letter for a Cyrillic one": ("a", "абв ", ["а"]),
    "digits of another script": ("٣", "0123 ", ["3"]),
    "nothing is near": ("世", LATIN, []),
}


@pytest.mark.parametrize("case", NAMED)
def test_what_is_another_text_is_named_and_not_taken(case: str) -> None:
    character, alphabet, near = NAMED[case]
    characters = NearCharacters(alphabet)
    reading = characters.read(f"b {character}b")
    assert reading.text == f"b {character}b"
    assert reading.unknown[character] == 3
    assert characters.near(character) == near


@given(text=st.text(max_size=40), alphabet=st.text(max_size=40))
def test_a_known_text_is_left_as_it_is_and_another_is_never_made_worse(text: str, alphabet: str) -> None:
    assert NearCharacters(set(text)).read(text) == (text, {}, {})
    reading = NearCharacters(alphabet).read(text)
    assert set(reading.unknown) == set(reading.text) - set(alphabet)
    assert NearCharacters(alphabet).read(reading.text).text == reading.text


WORDS = {word: id for id, word in enumerate(["<pad>", "<bos>", "<eos>", "<unk>", "how", "you", "?", "Rose", "child’s",
                                             "the\u0301", "<", "eos>"])}


def test_words_are_taken_in_the_spelling_that_looks_the_same() -> None:
    reading = NearWords(WORDS).read("child's\n\ufeffhow thé  \uff1ceos\uff1e <eos>")
    assert reading.text == "child’s\nhow the\u0301  \uff1ceos\uff1e <eos>", "no text turns into a control token"
    assert list(reading.replaced) == [("child's", "child’s"), ("\ufeffhow", "how"), ("thé", "the\u0301")]
    assert reading.unknown == {"\uff1ceos\uff1e": 4}


def test_words_in_another_case_or_with_punctuation_are_named() -> None:
    words = NearWords(WORDS)
    assert [words.near(word) for word in ("How", "you?", "rose,", "ROSE", "xyzzy")] == [
        ["how"], ["you ?", "you"], ["Rose"], ["Rose"], []]


def test_bytes_have_plain_line_ends() -> None:
    assert NearLineEnds().read("a\r\nb\rc") == ("a\nb\nc", {("\r\n", "\n"): 1, ("\r", "\n"): 1}, {})
    assert NearLineEnds().read("a\nb") == ("a\nb", {}, {})


@pytest.mark.parametrize(("text", "expected"), [
    ("e\u0301", "'e' + U+0301"), ("é", "'é'"), ("’", "'’' (U+2019)"), ("\xa0", "U+00A0"), ("\r\n", "'\\r\\n'"),
    ("ａ", "'ａ' (U+FF41)"), ("😀", "'😀'"), ("а", "'а' (U+0430)"), ("how", "'how'"),
])
def test_characters_that_look_alike_are_told_by_their_code_points(text: str, expected: str) -> None:
    assert describe_characters(text) == expected
