"""Cleaning: paragraphs without markup, duplicates, lists and insults, each on one line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

_MARKUP = re.compile(r"\[(?:Footnote|Illustration)[^\]]*\]|\[\d+\]|[\ufeff\u00ad\u200b-\u200f]")
_EMPHASIS = re.compile(r"(?<!\w)_([^_\n]+)_(?!\w)")
_INSULTS = re.compile(r"\b(?:nigg|kike|faggot)", re.IGNORECASE)
"""A model that anybody's text begins from does not write these, whatever the book."""
_END = (".", "?", "!", ":", '"', "'", "”", "’", ")")
MIN_WORDS, MIN_LETTERS, MIN_DUPLICATE = 8, 0.75, 40
"""Prose: words of a paragraph, and the share of letters and spaces in it, at least. A shorter text than the last is
no duplicate: people repeat themselves."""


def clean(paragraph: str) -> str:
    """A paragraph on one line, without markup."""
    return " ".join(_EMPHASIS.sub(r"\1", _MARKUP.sub("", paragraph)).split())


def is_prose(text: str) -> bool:
    """True for a paragraph of whole sentences.

    >>> is_prose("The index is made of the words that stand in the text, with their numbers.")
    True
    >>> is_prose("sqlite3_open_v2(), sqlite3_close(), sqlite3_exec(), sqlite3_errmsg() and so on.")
    False
    """
    plain = sum(character.isalpha() or character in " ,.'’" for character in text)
    return (len(text.split()) >= MIN_WORDS and text.endswith(_END) and plain / len(text) >= 0.93
            and sum(map(str.isalpha, text)) / len(text) >= MIN_LETTERS)


class Seen:
    """The paragraphs that were taken already, by what they say: case, spaces and marks aside."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def is_new(self, text: str) -> bool:
        """True if no paragraph before said the same; remembers this one."""
        said = re.sub(r"\W+", "", text).lower()
        if len(said) < MIN_DUPLICATE:
            return True
        digest = hashlib.sha256(said.encode()).digest()
        new = digest not in self._digests
        self._digests.add(digest)
        return new


def cleaned(paragraphs: Iterable[str], seen: Seen, *, prose: bool) -> Iterator[str]:
    """Yields what is left of a document."""
    for paragraph in paragraphs:
        text = clean(paragraph)
        if text and (not prose or is_prose(text)) and not _INSULTS.search(text) and seen.is_new(text):
            yield text
