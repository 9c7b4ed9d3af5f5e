"""Encoders: text -> ids, one for each kind of tokenizer. `tokenizer.json` describes the same in the library's terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import tokenizers
from numpy.typing import NDArray

from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.vocabulary import Kind, split_words, word_parts
from tinylm.text.white_space import WHITESPACE

Ids = NDArray[np.uint32]
Unknown = Callable[[Mapping[str, int]], Exception]
"""Makes the error for unknown words or characters, given the first position of each, counted from 1."""


class Encoder(Protocol):
    """Encodes a text alone. Raises: the error that `Unknown` makes; `known_alone` leaves out unknown parts instead."""

    def __call__(self, text: str) -> Ids: ...

    def known_alone(self, text: str) -> Ids: ...


def make_encoder(kind: Kind, library: tokenizers.Tokenizer, vocab: dict[str, int], specials: SpecialTokens,
                 unknown: Unknown) -> Encoder:
    """The encoder of a kind of tokenizer."""
    if kind == "bpe":
        return _Bytes(library)
    if kind == "word":
        return _Words(vocab, specials.unk, unknown)
    return _Characters({entry: id for entry, id in vocab.items() if id not in specials.hidden}, specials.pad, unknown)


class _Words:
    def __init__(self, vocab: dict[str, int], unk_id: int | None, unknown: Unknown) -> None:
        self._vocab, self._unk_id, self._unknown = vocab, unk_id, unknown

    def __call__(self, text: str) -> Ids:
        ids = [self._vocab.get(word, self._unk_id) for word in split_words(text)]
        if None in ids:
            raise self._unknown(self._first_positions(text))
        return np.array(ids, np.uint32)

    def known_alone(self, text: str) -> Ids:
        ids = (self._vocab.get(word, self._unk_id) for word in split_words(text))
        return np.array([id for id in ids if id is not None], np.uint32)

    def _first_positions(self, text: str) -> dict[str, int]:
        positions: dict[str, int] = {}
        for position, word in enumerate(text.split(), start=1):
            if any(part not in self._vocab for part in word_parts(word)):
                positions.setdefault(word, position)
        return positions


class _Characters:
    def __init__(self, alphabet: dict[str, int], pad_id: int, unknown: Unknown) -> None:
        self._alphabet, self._pad_id, self._unknown = alphabet, pad_id, unknown
        self._table = np.full(max(map(ord, alphabet), default=0) + 2, pad_id, np.uint32)
        for character, id in alphabet.items():
            self._table[ord(character)] = id

    def __call__(self, text: str) -> Ids:
        ids = self._ids_or_pad(text)
        if (ids == self._pad_id).any():
            raise self._unknown(self._first_positions(text))
        return ids

    def known_alone(self, text: str) -> Ids:
        ids = self._ids_or_pad(text)
        return ids[ids != self._pad_id]

    def _ids_or_pad(self, text: str) -> Ids:
        """The ids of the characters; an unknown one has that of `<pad>`, which no text makes."""
        code_points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        ids: Ids = self._table[np.minimum(code_points, len(self._table) - 1)]
        return ids

    def _first_positions(self, text: str) -> dict[str, int]:
        positions: dict[str, int] = {}
        for position, character in enumerate(text, start=1):
            if character not in self._alphabet:
                positions.setdefault(character, position)
        return positions


class _Bytes:
    """BPE that encodes every word once. Most words of a text came before, and the library takes 1 s for a megabyte."""

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        self._library = library
        self._known: dict[str, bytes] = {}

    def __call__(self, text: str) -> Ids:
        words = _WORD.findall(text)
        known = {word: self._known.get(word) for word in dict.fromkeys(words)}
        new = [word for word, ids in known.items() if ids is None]
        found = self._library.encode_batch_fast(new, add_special_tokens=False)
        fresh = {word: np.array(encoding.ids, np.uint32).tobytes() for word, encoding in zip(new, found, strict=True)}
        self._cache(fresh)
        known.update(fresh)
        return np.frombuffer(b"".join([known[word] or b"" for word in words]), np.uint32)

    known_alone = __call__  # all bytes are known

    def _cache(self, fresh: dict[str, bytes]) -> None:
        if len(self._known) > _MAX_CACHED_WORDS:
            self._known = {}  # a new dictionary: another thread may be reading the old one
        self._known.update((word, ids) for word, ids in fresh.items() if len(word) <= _MAX_CACHED_LENGTH)


_SYMBOLS = r"!-/:-@\[-`{-~"
_WORD = re.compile(rf"[{WHITESPACE}]+(?=[{WHITESPACE}][^{WHITESPACE}])"
                   rf"|[{WHITESPACE}]?(?:[{_SYMBOLS}]*+[A-Za-z0-9]++(?=[{_SYMBOLS}])|[^{WHITESPACE}]+)"
                   rf"|[{WHITESPACE}]+")
"""Parts of a text that can be encoded alone, because GPT-2's pattern ends a token at both of their ends:

- white space up to its last character, if something follows it: `\\s+(?!\\S)` takes just that;
- then that last character and the text after it, up to the next white space,
- or up to a symbol after an ASCII letter or digit: no alternative goes on from those into a symbol.
"""
_MAX_CACHED_WORDS, _MAX_CACHED_LENGTH = 300_000, 40
