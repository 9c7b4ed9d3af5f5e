"""Documents of word processors: DOCX (Word) and ODT (LibreOffice), a line for each paragraph."""

from __future__ import annotations

import re

from tinylm.text.formats import xml
from tinylm.text.formats.archive import Archive
from tinylm.text.formats.extracted import Extracted, File, Unreadable, single

_PARTS = "paragraphs as lines, notes at the end; pictures, comments, headers and footers are left out"
_WORD_MAIN = re.compile(r"word/document\d*\.xml")


class _Paragraphs:
    """Collects paragraphs in order; footnotes and endnotes go to the end, since they would cut a sentence in two."""

    def __init__(self, skipped: frozenset[str]) -> None:
        self._skipped = skipped
        self._skipping = self._noting = 0
        self._body: list[str] = []
        self._notes: list[str] = []

    def _write(self, text: str) -> None:
        if not self._skipping:
            (self._notes if self._noting else self._body).append(text)

    def start(self, name: str, _: dict[str, str]) -> None:
        self._skipping += name in self._skipped

    def end(self, name: str) -> None:
        self._skipping -= name in self._skipped

    def text(self) -> str:
        return "".join([*self._body, *self._notes])


class Word(_Paragraphs):
    """The events of a WordprocessingML part."""

    def __init__(self) -> None:
        super().__init__(frozenset({"pPr", "rPr", "moveFrom", "Fallback", "sectPr"}))
        self._in_text = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        super().start(name, attributes)
        self._in_text += name == "t"
        if name in ("br", "cr"):
            self._write("\n")
        elif name == "tab":
            self._write("\t")
        elif name == "noBreakHyphen":
            self._write("\u2011")

    def end(self, name: str) -> None:
        self._in_text -= name == "t"
        if name == "p":
            self._write("\n")
        super().end(name)

    def data(self, text: str) -> None:
        if self._in_text:
            self._write(text)


class OpenDocument(_Paragraphs):
    """The events of an OpenDocument text."""

    def __init__(self) -> None:
        super().__init__(frozenset({"annotation", "tracked-changes", "note-citation", "meta", "settings", "styles",
                                    "automatic-styles", "font-face-decls", "scripts", "master-styles", "binary-data"}))
        self._in_text = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        super().start(name, attributes)
        self._in_text += name in ("p", "h")
        self._noting += name == "note-body"
        if name == "tab":
            self._write("\t")
        elif name == "line-break":
            self._write("\n")
        elif name == "s":
            count = attributes.get("c", "1")
            self._write(" " * (min(int(count), 1000) if count.isdecimal() else 1))

    def end(self, name: str) -> None:
        if name in ("p", "h"):
            self._in_text -= 1
            self._write("\n")
        self._noting -= name == "note-body"
        super().end(name)

    def data(self, text: str) -> None:
        if self._in_text:
            self._write(re.sub(r"[ \t\n\r]+", " ", text))


def read_docx(archive: Archive) -> Extracted:
    main = next((name for name in sorted(archive.names) if _WORD_MAIN.fullmatch(name)), "")
    parts = [main, *(name for name in ("word/footnotes.xml", "word/endnotes.xml") if name in archive.names)]
    texts = []
    for part in parts:
        paragraphs = Word()
        xml.parse(archive.read(part), paragraphs, archive.where)
        texts.append(paragraphs.text() if part == main else paragraphs.text().lstrip("\n"))
    return single("".join(texts), f"read as a Word document: {_PARTS}")


_NOTE = f"read as an OpenDocument text: {_PARTS}"


def read_odt(archive: Archive) -> Extracted:
    if b"encryption-data" in (archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in archive.names
                              else b""):
        raise Unreadable("is protected by a password", where=archive.where,
                         remedy="Open it in LibreOffice and save it without the password")
    paragraphs = OpenDocument()
    xml.parse(archive.read("content.xml"), paragraphs, archive.where)
    return single(paragraphs.text(), _NOTE)


def read_flat_odt(file: File) -> Extracted:
    paragraphs = OpenDocument()
    xml.parse(file.data, paragraphs, file.where)
    return single(paragraphs.text(), _NOTE)
