"""Memorization: the share of a generated text that is copied from the training text, and from where in it.

Copying is counted in words: what lies between white space, whatever white space that is, so a line broken elsewhere is
still a copy. In a text whose "words" have over 20 characters on average (Chinese, Japanese, Thai, DNA) it is counted in
characters instead, white space included. Nothing is copied across the end of a document.

    training text -> blocks of UTF-8, and a number for each word -> hashes of windows (windows.py)

The index holds the text, packed, and 4 bytes for each word (2 for each character). A query hashes the windows of one
width along the whole text, twice, and a few more times where a longer run than before is found: linear in the text.
Each hit is compared with the text itself, so hashes that are equal by chance never count.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.evaluation.rolling_hash import HashSet, Numbers, WindowHashes, chunks
from tinylm.evaluation.text_blocks import END, Block, BlockBuilder, CompressedTexts, TextLocation
from tinylm.system.memory import trim_heap
from tinylm.text.split import Slice

Unit = Literal["words", "characters"]

NGRAM = 8
"""Words in a window. Shorter runs occur in everybody's writing."""
NGRAM_BYTES = 40
"""Where characters are counted, a window has this many bytes of UTF-8, about what 8 words have: 40 characters of DNA,
13 of Chinese."""
MAX_WORD_CHARACTERS = 20
"""Longer words than that on average, in characters, are none."""
MAX_SEARCHED_BYTES = 1 << 27
"""Bytes. Of a longer training text the first so many are searched, to bound memory."""

MAX_COMPARED = 1000
"""Places of one window in the training text from which a copied stretch is followed, at most."""
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Overlap:
    """Overlap of a text with the training text, word for word.

    Attributes:
        unit: what is counted.
        longest: the length of the longest copied run, in that unit; 0: nothing is copied.
        characters: the same in characters.
        run: the run itself, as the text has it.
        share: of all windows of `ngram` words (or characters) in the text, those that stand in the training text;
            0.0 where the text is shorter than a window.
        ngram: the width of these windows.
        windows: how many the text has.
        where: the first position of the run; None: nothing is copied.
        searched: bytes of a longer training text, from its beginning, in which all this was looked for; None: in all
            of it.
    """

    unit: Unit
    longest: int
    characters: int
    run: str
    share: float
    ngram: int
    windows: int
    where: TextLocation | None
    searched: int | None = None


class CopiedSpan(NamedTuple):
    """A stretch of a text that stands word for word in the training text: from the character `start` to before `end`.
    `where` is one place at which it stands there."""

    start: int
    end: int
    where: TextLocation


def combine(measured: Sequence[Overlap]) -> Overlap:
    """Overlap of several texts as if they were one: the longest of their runs, and the share of all their windows."""
    windows = sum(each.windows for each in measured)
    share = sum(each.share * each.windows for each in measured) / max(1, windows)
    return replace(max(measured, key=lambda each: each.longest), share=share, windows=windows)


# ---- what is counted


class _Unit(NamedTuple):
    """Unit of counting: words or characters.

    Attributes:
        split: a text into its units.
        starts: where each of them begins in it.
        numbers: a number for each; different units may have the same one.
        gap: what keeps the end of a document apart.
    """

    name: Unit
    ngram: int
    split: Callable[[str], Sequence[str]]
    starts: Callable[[str], Sequence[int]]
    numbers: Callable[[str], Numbers]
    gap: str


def _word_numbers(text: str) -> NDArray[np.uint32]:
    words = text.split()
    return np.fromiter(map(hash, words), np.int64, len(words)).astype(np.uint32)


def _character_numbers(text: str) -> NDArray[np.uint16]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint16)


def _words() -> _Unit:
    return _Unit("words", NGRAM, str.split, lambda text: [word.start() for word in _WORD.finditer(text)],
                 _word_numbers, f" {END} ")


def _characters(bytes_per_character: float) -> _Unit:
    return _Unit("characters", max(NGRAM, round(NGRAM_BYTES / bytes_per_character)), lambda text: text,
                 lambda text: range(len(text)), _character_numbers, END)


def _choose_unit(text: Slice) -> _Unit:
    beginning = _beginning(text)
    words = beginning.split()
    if sum(map(len, words)) <= MAX_WORD_CHARACTERS * len(words):
        return _words()
    return _characters(len(beginning.encode()) / len(beginning))


def _beginning(text: Slice) -> str:
    """First million characters or so of a text."""
    pieces: list[str] = []
    size = 0
    for piece in text.targets():
        pieces.append(piece.text)
        size += len(piece.text)
        if size > 1 << 20:
            break
    return "\n".join(pieces)


# ---- the query


class _QueryWindows(NamedTuple):
    """Windows of a query: their hashes, and the positions in the query where the windows of each hash begin."""

    hashes: HashSet
    starts: dict[int, list[int]]


class _Query:
    """Text that may have been copied, as units and hashes of their windows."""

    def __init__(self, text: str, unit: _Unit) -> None:
        self.text = text.replace(END, "\ufffd")  # half a surrogate pair, which only a program could have put there
        self.units, self.starts = unit.split(self.text), unit.starts(self.text)
        self._windows = WindowHashes(unit.numbers(self.text))
        self._wanted: dict[int, _QueryWindows] = {}

    def wanted(self, width: int) -> _QueryWindows:
        """Windows of that width, all of them."""
        if width not in self._wanted:
            hashes, starts = self._windows.hashes(width), dict[int, list[int]]()
            for start, value in enumerate(hashes.tolist()):
                starts.setdefault(value, []).append(start)
            self._wanted[width] = _QueryWindows(HashSet(hashes), starts)
        return self._wanted[width]

    def run(self, start: int, length: int) -> str:
        if not length:
            return ""
        last = start + length - 1
        return self.text[self.starts[start]:self.starts[last] + len(self.units[last])]


class _Run(NamedTuple):
    """Run of `length` units that stands both at `position` in the training text and at `start` in the query."""

    length: int
    position: int
    start: int


class CopyIndex:
    """Index of a training text, in which copied runs are looked for.

    Args:
        text: as `Split.train`.

    Raises:
        TinyLMError: the text cannot be read any more.
    """

    def __init__(self, text: Slice) -> None:
        self._unit = _choose_unit(text)
        self._blocks, self._texts = list[Block](), CompressedTexts()
        numbers, dtype, begin = bytearray(), self._unit.numbers("").dtype, [0]
        blocks = BlockBuilder(self._unit.gap).of(text)
        for block, text_of_block in blocks:
            self._blocks.append(block)
            self._texts.append(text_of_block)
            numbers += self._unit.numbers(text_of_block).tobytes()
            begin.append(len(numbers) // dtype.itemsize)
            if self._texts.n_bytes >= MAX_SEARCHED_BYTES:
                break
        self._searched = self._texts.n_bytes if next(blocks, None) else None
        self._numbers: Numbers = np.frombuffer(numbers, dtype)
        trim_heap()
        self._begin = begin
        """(blocks + 1): the number of the first unit of each block, and of all units."""
        self._open: tuple[int, Sequence[str]] = -1, ()
        """The block that was read last, and its units."""

    def measure(self, text: str) -> Overlap:
        """Overlap of `text` with the training text. Linear in the training text."""
        unit, query = self._unit, _Query(text, self._unit)
        windows = max(0, len(query.units) - unit.ngram + 1)
        missing = {value: list(starts) for value, starts in query.wanted(unit.ngram).starts.items()}
        longest = _Run(0, 0, 0)
        for begin, hashed in chunks(self._numbers, len(query.units)):
            self._remove_found(missing, query, hashed, begin)
            while better := self._find_longer_run(longest.length + 1, query, hashed, begin):
                longest = better
        share = 1 - sum(map(len, missing.values())) / windows if windows else 0.0
        run = query.run(longest.start, longest.length)
        where = self._location(longest.position) if run else None
        return Overlap(unit.name, longest.length, len(run), run, share, unit.ngram, windows, where,
                       self._searched)

    def spans(self, text: str) -> list[CopiedSpan]:
        """The copied stretches of a text of at least `ngram` units, in order. No two overlap. Linear in the training
        text; of a window that stands in it very often, the first `MAX_COMPARED` places are looked at."""
        query, free, found = _Query(text, self._unit), 0, []
        for run in sorted(self._runs(query), key=lambda run: (run.start, -run.length)):
            skipped = max(0, free - run.start)
            if run.length - skipped >= self._unit.ngram:
                start, free = run.start + skipped, run.start + run.length
                first = query.starts[start]
                last = first + len(query.run(start, run.length - skipped))
                found.append(CopiedSpan(first, last, self._location(run.position + skipped)))
        return found

    def _runs(self, query: _Query) -> Iterator[_Run]:
        """Runs of at least `ngram` units that both texts have, each as long as it goes from where it was found."""
        ngram, compared = self._unit.ngram, Counter[int]()
        wanted, ends = query.wanted(ngram), dict[int, int]()  # of runs, by how far they are shifted
        for begin, hashed in chunks(self._numbers, len(query.units)):
            for position, value in wanted.hashes.find(hashed.hashes(ngram)):
                for start in wanted.starts[value]:
                    shift = begin + position - start
                    if start < ends.get(shift, 0) or compared[start] == MAX_COMPARED:
                        continue  # it is the rest of a run that was found before
                    compared[start] += 1
                    common = self._common(begin + position, query.units[start:])
                    if common >= ngram:
                        ends[shift] = start + common
                        yield _Run(common, begin + position, start)

    def _remove_found(self, missing: dict[int, list[int]], query: _Query, chunk: WindowHashes, begin: int) -> None:
        """Takes the n-grams that stand in this chunk out of those that are missing."""
        ngram = self._unit.ngram
        for position, value in query.wanted(ngram).hashes.find(chunk.hashes(ngram)):
            if missing[value]:
                missing[value] = [start for start in missing[value]
                                  if self._common(begin + position, query.units[start:start + ngram]) < ngram]

    def _find_longer_run(self, length: int, query: _Query, chunk: WindowHashes, begin: int) -> _Run | None:
        """The first run of at least `length` that begins in this chunk, as far as it goes."""
        wanted = query.wanted(length)
        for position, value in wanted.hashes.find(chunk.hashes(length)):
            for start in wanted.starts[value]:
                common = self._common(begin + position, query.units[start:])
                if common >= length:
                    return _Run(common, begin + position, start)
        return None

    def _common(self, position: int, units: Sequence[str]) -> int:
        """Length of the common prefix of `units` and of the training text from `position` on."""
        common = 0
        while common < len(units) and position + common < self._begin[-1]:
            block, at = self._find(position + common)
            for there, here in zip(self._units(block)[at:at + len(units)], units[common:], strict=False):
                if there != here:
                    return common
                common += 1
        return common

    def _find(self, position: int) -> tuple[int, int]:
        """The block of a unit, and its number in there."""
        block = bisect_right(self._begin, position) - 1
        return block, position - self._begin[block]

    def _units(self, block: int) -> Sequence[str]:
        if self._open[0] != block:
            self._open = block, self._unit.split(self._texts[block])
        return self._open[1]

    def _location(self, unit: int) -> TextLocation:
        block, at = self._find(unit)
        text = self._texts[block]
        return self._blocks[block].location(text, self._unit.starts(text)[at])
