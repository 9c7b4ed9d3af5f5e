"""Text blocks: a text cut into blocks, compressed, in which every character keeps its file and its line."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import zstandard

from tinylm.text.corpus import Piece
from tinylm.text.split import Slice

BLOCK_CHARACTERS = 1 << 16
MAX_LINE_CHARACTERS = 200
"""At most so many characters of a line are shown."""
END = "\ud800"
"""Stands between documents: half a surrogate pair, which no text has."""


@dataclass(frozen=True)
class TextLocation:
    """A position in the training text. `text` is its line, or the neighbourhood of the position in a very long line."""

    file: str
    line: int
    text: str


class Block(NamedTuple):
    """Block of a file's text, of some 64 thousand characters, with `END` where a document begins.

    `lines` has the number of the line in which the block begins, and of each line in which a document begins in it.
    """

    file: str
    lines: array[int]
    in_one_line: bool

    def location(self, text: str, at: int) -> TextLocation:
        """Location of the character number `at` in the text of the block."""
        start = text.rfind(END, 0, at) + 1
        line = self.lines[text.count(END, 0, at)] + (0 if self.in_one_line else text.count("\n", start, at))
        start = max(start, text.rfind("\n", 0, at) + 1, at - MAX_LINE_CHARACTERS // 2)
        shown = re.split(rf"[\n{END}]", text[start:start + MAX_LINE_CHARACTERS], maxsplit=1)[0]
        return TextLocation(self.file, line, shown.strip())


class CompressedTexts:
    """Texts compressed by zstd to a third of their size, in one buffer: many small buffers would leave gaps in the heap
    as large as themselves."""

    def __init__(self) -> None:
        self._packed, self._begin, self.n_bytes = bytearray(), [0], 0

    def append(self, text: str) -> None:
        utf8 = text.encode("utf-8", "surrogatepass")
        self._packed += zstandard.compress(utf8, 1)
        self._begin.append(len(self._packed))
        self.n_bytes += len(utf8)

    def __getitem__(self, number: int) -> str:
        packed = bytes(self._packed[self._begin[number]:self._begin[number + 1]])
        return zstandard.decompress(packed).decode("utf-8", "surrogatepass")


class BlockBuilder:
    """Cuts the pieces of a text into blocks."""

    def __init__(self, gap: str) -> None:
        self._gap = gap
        self._texts: list[str] = []
        self._size = 0
        self._lines = array("I")
        self._source, self._ended = ("", False), True

    def of(self, text: Slice) -> Iterator[tuple[Block, str]]:
        for piece in text.targets():
            if self._source != (piece.file, piece.in_one_line):
                yield from self._cut(to_the_end=True)
                self._source = piece.file, piece.in_one_line
            self._add(piece)
            self._ended |= text.corpus.has_turns  # an answer ends with its piece
            if self._size > BLOCK_CHARACTERS:
                yield from self._cut()
        yield from self._cut(to_the_end=True)

    def _add(self, piece: Piece) -> None:
        if not self._lines:
            self._lines.append(piece.line)
        if self._ended:
            self._texts.append(self._gap)
            self._lines.append(piece.line)
        self._texts.append(piece.text)
        self._size += len(piece.text)
        self._ended = piece.ends_document

    def _cut(self, to_the_end: bool = False) -> Iterator[tuple[Block, str]]:
        text, start = "".join(self._texts), 0
        while len(text) - start > BLOCK_CHARACTERS:
            stop = _cut_after(text, start + BLOCK_CHARACTERS)
            yield self._block(text[start:stop]), text[start:stop]
            start = stop
        if to_the_end and start < len(text):
            yield self._block(text[start:]), text[start:]
            start = len(text)
        self._texts, self._size = [text[start:]], len(text) - start
        if to_the_end:
            self._lines = array("I")

    def _block(self, text: str) -> Block:
        documents, (file, in_one_line) = text.count(END), self._source
        lines = self._lines[:documents + 1]
        here = lines[-1] + (0 if in_one_line else text.count("\n", text.rfind(END) + 1))
        self._lines = array("I", [here]) + self._lines[documents + 1:]
        return Block(file, lines, in_one_line)


_LINE_END = re.compile(r"[^\n]*\n")
_SPACE = re.compile(r"\S*\s")


def _cut_after(text: str, at: int) -> int:
    """End of the line that holds `at`, or of the word where the line is long."""
    found = _LINE_END.match(text, at, at + BLOCK_CHARACTERS) or _SPACE.match(text, at)
    return found.end() if found else len(text)
