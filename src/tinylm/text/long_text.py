"""Byte-level BPE of a long text: compiled code cuts the text into words and looks them up, on every core at once. The
library encodes each word only once.

The words are those of encoders.py: BPE encodes each independently of the others. Most words of a text came before, and
looking one up takes a twentieth of a microsecond.
"""

from __future__ import annotations

import string
from itertools import chain, pairwise
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from tinylm.jit.compile import kernel, part

Bytes = NDArray[np.uint8]
Ids = NDArray[np.uint32]

MAX_WORDS, MAX_LETTERS = 1 << 19, 1 << 22
"""The size of the table: words, and bytes of words. A full table is emptied."""
_SLOTS = 2 * MAX_WORDS
_WORDS_AT_ONCE = 1 << 17
"""Words that are looked up before the library encodes the new ones, at most."""

_OTHER, _SPACE, _SYMBOL, _ALPHANUMERIC, _MAYBE_SPACE = range(5)


def _kinds() -> Bytes:
    """The class of each byte, or of the character that it may begin."""
    kinds = np.full(256, _OTHER, np.uint8)
    for kind, members in ((_SPACE, b"\t\n\v\f\r "), (_SYMBOL, string.punctuation.encode()),
                          (_ALPHANUMERIC, (string.ascii_letters + string.digits).encode()),
                          (_MAYBE_SPACE, b"\xc2\xe1\xe2\xe3")):
        kinds[list(members)] = kind
    return kinds


_KINDS = _kinds()


@part
def _space(text: Any, at: Any, kinds: Any) -> Any:
    """The number of bytes of the white space character that begins at `at`; 0 if none does."""
    kind = kinds[text[at]]
    if kind == _SPACE:
        return 1
    if kind != _MAYBE_SPACE:
        return 0
    first, second = text[at], text[at + 1]
    if first == 0xC2:
        return 2 if second == 0x85 or second == 0xA0 else 0
    third = text[at + 2]
    if first == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    if first == 0xE3:
        return 3 if second == 0x80 and third == 0x80 else 0
    if second == 0x81:
        return 3 if third == 0x9F else 0
    if second != 0x80:
        return 0
    return 3 if 0x80 <= third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0


@part
def _word_end(text: Any, at: Any, kinds: Any) -> Any:
    """The end of the word that begins at `at`."""
    size = len(text)
    last, stop = at, at  # the last character of white space, and what comes after it
    while stop < size:
        step = _space(text, stop, kinds)
        if step == 0:
            break
        last, stop = stop, stop + step
    if stop == size or last > at:
        return size if stop == size else last
    symbols = stop
    while symbols < size and kinds[text[symbols]] == _SYMBOL:
        symbols += 1
    letters = symbols
    while letters < size and kinds[text[letters]] == _ALPHANUMERIC:
        letters += 1
    if symbols < letters < size and kinds[text[letters]] == _SYMBOL:
        return letters
    while stop < size and _space(text, stop, kinds) == 0:
        stop += 1
    return stop


@kernel
def _first_word(text: Any, kinds: Any) -> Any:
    """The length of the first word, in bytes."""
    return _word_end(text, 0, kinds)


@kernel
def _look_up(text: Any, at: Any, kinds: Any, slots: Any, hashes: Any, starts: Any, letters: Any, known: Any,
             found: Any) -> Any:
    """Cuts `text` into words from `at` on, and writes the number of each into `found`. New words get the next numbers.
    Stops at the end of the text, or when `found` or the table is full.

    Returns:
        the position reached, the number of words found, and the number of words in the table.
    """
    words, mask = 0, len(slots) - 1
    while at < len(text) and words < len(found):
        stop = _word_end(text, at, kinds)
        value = 0
        for i in range(at, stop):
            value = (value + text[i] + 1) * 0x2545F4914F6CDD1D
            value ^= value >> 29
        slot = (value ^ value >> 32) & mask
        number = slots[slot]
        while number >= 0 and (hashes[number] != value or not _same(text, at, stop, letters, starts, number)):
            slot = (slot + 1) & mask
            number = slots[slot]
        if number < 0:
            end = starts[known] + stop - at
            if known == len(hashes) or end > len(letters):
                break
            letters[starts[known]:end] = text[at:stop]
            starts[known + 1], hashes[known], slots[slot] = end, value, known
            number = known
            known += 1
        found[words] = number
        words += 1
        at = stop
    return at, words, known


@part
def _same(text: Any, at: Any, stop: Any, letters: Any, starts: Any, number: Any) -> Any:
    first = starts[number]
    if starts[number + 1] - first != stop - at:
        return False
    for i in range(stop - at):  # noqa: SIM110 - a loop for the compiler
        if text[at + i] != letters[first + i]:
            return False
    return True


@kernel
def _gather(found: Any, id_starts: Any, ids: Any, out: Any) -> Any:
    """Writes the ids of the words, one after another, to `out`. Returns their number."""
    count = 0
    for number in found:
        for i in range(id_starts[number], id_starts[number + 1]):
            out[count] = ids[i]
            count += 1
    return count


class LongTextEncoder:
    """Encodes text to ids, for one thread at a time. It takes some 40 megabytes."""

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        self._library = library
        self._slots = np.empty(_SLOTS, np.int32)
        self._hashes = np.empty(MAX_WORDS, np.int64)
        self._letters = np.empty(MAX_LETTERS, np.uint8)
        self._starts, self._id_starts = (np.zeros(MAX_WORDS + 1, np.int32) for _ in range(2))
        self._ids = np.empty(MAX_LETTERS, np.uint32)  # a word has no more ids than bytes
        self._found = np.empty(_WORDS_AT_ONCE, np.int32)
        self._clear()

    def _clear(self) -> None:
        self._slots.fill(-1)
        self._known = 0

    def __call__(self, text: str) -> Ids:
        data = np.frombuffer(text.encode(), np.uint8)
        ids, at, count = np.empty(len(data), np.uint32), 0, 0
        while at < len(data):
            before = self._known
            reached, words, self._known = _look_up(data, at, _KINDS, self._slots, self._hashes, self._starts,
                                                   self._letters, self._known, self._found)
            self._encode_new(before)
            count += _gather(self._found[:words], self._id_starts, self._ids, ids[count:])
            if reached == at and before:
                self._clear()
            elif reached == at:  # a word larger than the table
                reached += _first_word(data[at:], _KINDS)
                alone = self._library.encode(_text(data[at:reached]), add_special_tokens=False).ids
                ids[count:count + len(alone)] = alone
                count += len(alone)
            at = reached
        return ids[:count]

    def _encode_new(self, first: int) -> None:
        """Lets the library encode all words from number `first` on."""
        starts = self._starts[first:self._known + 1].tolist()
        new = [_text(self._letters[start:stop]) for start, stop in pairwise(starts)]
        found = [encoding.ids for encoding in self._library.encode_batch_fast(new, add_special_tokens=False)]
        ends = self._id_starts[first] + np.cumsum([0, *map(len, found)])
        self._id_starts[first:self._known + 1] = ends
        self._ids[ends[0]:ends[-1]] = list(chain.from_iterable(found))


def _text(letters: Bytes) -> str:
    return letters.tobytes().decode()
