"""Texts as people really have them, made from a seed: the recipes of `shared/cases.md`, and more of each kind."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Sequence

QUICK = ("--size", "0.1M", "--steps", "12", "--set", "train.batch_size=4")
"""Options that make a run take a second or two."""


def _split(words: str) -> list[str]:
    return words.split()


_VERSE = ("Rose is red,", "violets are blue,", "sugar is sweet,", "and so are you.")
_WORDS = _split(
    "the a of and to in was that it he she had his her not with as for on at but they all from one were which said out "
    "up into them then there little old house garden river morning evening letter walked looked under window")
_SCRIPTS = {
    "zh": "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学",
    "ja": "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん日本語",
    "th": "กขคงจชซญดตถทนบปผฝพฟมยรลวสหอฮะาำเแโใไ",
    "emoji": "😀😁😂🤣😃😄😅😆😉😊😋😎😍😘🥰🎉🚀🌈🌸🍀",
}
_ARABIC = _split("في من على إلى عن هذا كان قال البيت النهر الصباح كبير صغير جميل يوم ليلة كتاب قلم")
_GREEK = _split("και το να είναι που από για με στο σπίτι ποτάμι πρωί μικρό μεγάλο βιβλίο")
_CYRILLIC = _split("и в не на что он она дом река утро вечер книга старый новый окно сад письмо")


def rhyme(line_end: str = "\r\n") -> bytes:
    """Four short lines, 700 times, each ended by `line_end`."""
    return "".join(line + line_end for line in _VERSE * 700).encode()


def pages() -> bytes:
    """A memo with a form feed after each page."""
    return "".join(f"Page {n} of the memo\n\f\n" for n in ["one", "two", "three"] * 100).encode()


def book(characters: int = 60_000, words: Sequence[str] = _WORDS, seed: int = 0) -> str:
    """Sentences of common English words, a paragraph every few of them."""
    chance, text = random.Random(seed), []
    size = 0
    while size < characters:
        sentence = " ".join(chance.choices(words, k=chance.randint(4, 12))).capitalize() + "."
        text.append(sentence + ("\n\n" if chance.random() < 0.2 else " "))
        size += len(text[-1])
    return "".join(text)


def names() -> bytes:
    """A list of 3,000 names of two to four syllables, one a line."""
    chance = random.Random(1)
    syllables = _split("ka mi ro ne la to su vi en ar do li")
    return "".join("".join(chance.choices(syllables, k=chance.randint(2, 4))).capitalize() + "\n"
                   for _ in range(3000)).encode()


def script(name: str, length: int = 20_000) -> str:
    """Text of a script: zh, ja, th, emoji (characters with a full stop here and there), ar, el, ru (words)."""
    chance = random.Random(2)
    words = {"ar": _ARABIC, "el": _GREEK, "ru": _CYRILLIC}.get(name)
    if words:
        return book(length, words, seed=2)
    letters = _SCRIPTS[name]
    return "".join(chance.choice(letters) + ("。\n" if chance.random() < 0.05 else "") for _ in range(length))


def dna() -> bytes:
    """A FASTA file: a header, then lines of 60 letters from ACGT."""
    chance = random.Random(3)
    return b">seq1\n" + "".join("".join(chance.choices("ACGT", k=60)) + "\n" for _ in range(300)).encode()


def accented(form: str = "NFD") -> str:
    """The book with accents on its vowels, in a Unicode normal form."""
    return unicodedata.normalize(form, book().replace("the", "thé").replace("under", "ünder"))


def curly() -> str:
    """The book with typographic quotes and apostrophes, and none of the straight ones."""
    return book().replace("letter", "child\u2019s letter").replace("said", "said \u201cyes\u201d")


def cut() -> bytes:
    """A UTF-8 text that ends in the middle of a character."""
    return book().encode() + b"\xc3"


def windows_1252() -> bytes:
    """The book with curly quotes and accents, as Windows saved it."""
    return unicodedata.normalize("NFC", accented("NFC") + curly()).encode("cp1252")


def records(*texts: object, field: str = "text") -> bytes:
    """A jsonl file with one record for each text."""
    return "".join(json.dumps({field: text}) + "\n" for text in texts).encode()


def toml_of_windows() -> bytes:
    """A settings file as Notepad saves it: with a byte order mark and CRLF."""
    return b"\xef\xbb\xbf[train]\r\nsteps = 4\r\n"
