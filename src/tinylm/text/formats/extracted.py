"""The contract of a reader: a whole file in, the texts of its documents out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from tinylm.errors import TinyLMError, shell_word
from tinylm.system.extras import install_command

RECORDS: tuple[Literal["jsonl", "json", "csv"], ...] = ("jsonl", "json", "csv")
"""Formats of records, each of which is a document."""
LARGEST = 256 << 20
"""Bytes of a file, packed or unpacked, that a reader loads into memory, at most."""


@dataclass(frozen=True)
class File:
    """A file read whole.

    `decode(data, declared)` turns bytes into text in the encoding that a person chose, else in the declared one, else
    in UTF-8 or UTF-16 as a mark says. It raises `TinyLMError` for bytes that do not fit.
    """

    where: str
    data: bytes
    decode: Callable[[bytes, str], str]

    def text(self, declared: str = "") -> str:
        """The whole file decoded, with `\\n` as its only line end."""
        return self.decode(self.data, declared).replace("\r\n", "\n").replace("\r", "\n")


class Extracted(NamedTuple):
    """The texts of a file's documents, and a sentence for people about how the file was read.

    A document is (line, text): the line, from 1, is that of the file where the file has lines to speak of, else that of
    the extracted text.
    """

    documents: list[tuple[int, str]]
    note: str


class Unreadable(TinyLMError):
    """An error for a file without a readable text. A single file is refused; a folder is read without it."""


def single(text: str, note: str) -> Extracted:
    """An extracted text that is one document."""
    return Extracted([(1, text)], note)


_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """The text as UTF-8 can hold it: halves of surrogate pairs become U+FFFD, NUL characters are removed."""
    return _SURROGATE.sub("\ufffd", text).replace("\0", "")


_BASE = re.compile(r"\{base\}([\w.-]*)")


def way(remedy: str, where: str) -> str:
    """A remedy with {file}, and {base} for the same without its suffix and with what follows, filled in as words for
    the shell."""
    path = Path(where) if Path(where).is_file() else Path(f"FILE{Path(where).suffix}")
    filled = _BASE.sub(lambda found: shell_word(f"{path.with_suffix('')}{found[1]}"), remedy)
    return filled.replace("{file}", shell_word(path))


def missing_package(package: str, kind: str, where: str, by_hand: str) -> Unreadable:
    """The error for a format whose optional package is not installed."""
    return Unreadable(f"is {kind}, which the package {package} reads, and that is not installed", where=where,
                      remedy=f"Install it: {install_command('formats')}. Or {by_hand}")
