"""XML read event by event, without entities of its own: none is declared, none is fetched."""

from __future__ import annotations

import re
from typing import Protocol
from xml.parsers import expat

from tinylm.text.formats.extracted import Extracted, File, Unreadable, single


class Handler(Protocol):
    """Receives the events of a document; names are local, without their namespace."""

    def start(self, name: str, attributes: dict[str, str], /) -> None: ...

    def end(self, name: str, /) -> None: ...

    def data(self, text: str, /) -> None: ...


def parse(data: bytes, handler: Handler, where: str) -> None:
    """Feeds a document to a handler.

    Raises:
        Unreadable: the document is not well-formed, or declares entities.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: handler.start(
        _local(name), {_local(key): value for key, value in attributes.items()})
    parser.EndElementHandler = lambda name: handler.end(_local(name))
    parser.CharacterDataHandler = handler.data

    def refuse(*_: object) -> None:
        raise Unreadable("is XML that declares entities of its own", where=where,
                         remedy="Entities can be made to grow without bound or to read other files: save it without")

    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except Unreadable:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Unreadable(f"is not well-formed XML ({error})", where=where,
                         remedy="Copy it again from where it came, or save it anew") from None


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


_BLOCKS = frozenset({"p", "head", "l", "lg", "div", "title", "subtitle", "v", "stanza", "poem", "section", "epigraph",
                     "text-author", "speaker", "stage", "item", "row", "ab", "quote", "cite"})
_SPACES = re.compile(r"[ \t\n\r]+")


class _Book:
    """Collects the text inside the elements of one name, a line for each block of text in them."""

    def __init__(self, inside: str, without: frozenset[str]) -> None:
        self._inside, self._without = inside, without
        self._depth = self._skipped = 0
        self.lines: list[str] = [""]

    def start(self, name: str, _: dict[str, str]) -> None:
        self._depth += name == self._inside
        self._skipped += name in self._without
        if name in _BLOCKS or name in ("lb", "br", "empty-line"):
            self.lines.append("")

    def end(self, name: str) -> None:
        self._depth -= name == self._inside
        self._skipped -= name in self._without
        if name in _BLOCKS:
            self.lines.append("")

    def data(self, text: str) -> None:
        if self._depth and not self._skipped:
            self.lines[-1] += text

    def text(self) -> str:
        lines = (_SPACES.sub(" ", line).strip() for line in self.lines)
        return "".join(f"{line}\n" for line in lines if line)


def read_tei(file: File) -> Extracted:
    book = _Book("text", frozenset({"teiHeader", "figDesc"}))
    parse(file.data, book, file.where)
    return single(book.text(), "read as TEI: the text of <text>, without markup and header")


def read_ttml(file: File) -> Extracted:
    book = _Book("body", frozenset({"metadata"}))
    parse(file.data, book, file.where)
    return single(book.text(), "read as subtitles (TTML): what is said, without times and tags")


def read_fictionbook(file: File) -> Extracted:
    book = _Book("body", frozenset({"binary", "description"}))
    parse(file.data, book, file.where)
    return single(book.text(), "read as FictionBook: its text without markup, description and pictures")
