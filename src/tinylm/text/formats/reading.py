"""Readers: the one for a file, and the documents that it extracts."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import ClassVar

from tinylm.errors import TinyLMError
from tinylm.text.formats.extracted import LARGEST, RECORDS, Extracted, File, Unreadable, way
from tinylm.text.formats.recognise import HEAD, recognise
from tinylm.text.formats.refusals import refusal
from tinylm.text.reading.records import Record, read_json_lines, read_lines, read_texts

Note = Callable[[str], None]

_READERS = {
    "html": "html.read", "mhtml": "mail.read_page", "mail": "mail.read_mail", "mailbox": "mail.read_mailbox",
    "subtitles": "subtitles.read_cues", "substation": "subtitles.read_substation",
    "frames": "subtitles.read_frames", "lyrics": "subtitles.read_lyrics", "ttml": "xml.read_ttml",
    "fodt": "office.read_flat_odt", "notebook": "notebook.read", "tei": "xml.read_tei",
    "fictionbook": "xml.read_fictionbook",
    "whatsapp": "whatsapp.read", "pdf": "pdf.read", "rtf": "rtf.read", "zip": "zipped.read",
}
"""Format -> module and name of the reader, for running text. A module is imported when its format occurs."""


@dataclass(frozen=True)
class Opened:
    """A file as its readers need it: its name for people, its unpacked bytes and its decoded text, both from the start
    at each call, and a way to decode bytes in it, as in `extracted.File`."""

    where: str
    read_bytes: Callable[[], Iterator[bytes]]
    read_text: Callable[[], Iterator[str]]
    decode: Callable[[bytes, str], str]


def format_of(name: str, data: Iterable[bytes], documents: str, encoding: str = "") -> str:
    """The format by which a file is to be read: a reader's, a refused one, one of `RECORDS`, or "" for plain text.

    Args:
        name: without the suffix of a packer; empty for standard input.
        data: the bytes of the file in chunks, of which only the needed ones are read.
        documents: the kind of documents that a person gave; records read as `text` or `line` are plain text.
        encoding: the encoding that a person gave.
    """
    head = b""
    try:
        for chunk in data:
            head += chunk
            if len(head) >= HEAD:
                break
    except TinyLMError:  # the reading of the file raises a better error
        return ""
    kind = recognise(name, head[:HEAD], encoding)
    as_it_stands = documents == "text" or (documents == "line" and kind != "json")  # whose lines are of no meaning
    return "" if kind in RECORDS and as_it_stands else kind


class Formatted:
    """The documents of a file in a format. An extracted text is kept in memory for the next time, within bounds.

    Args:
        kind: as `format_of` gives it; not "".
        documents: "line" makes a document of each line of the text.
        field: the field of a record that holds the text.
        skip_bad: pass over bad records.
        expected: True if the file's name tells the format, so that no note about it is needed.
    """

    _left: ClassVar[list[int]] = [1 << 26]
    """The number of characters that may still be cached, for all files of this process."""

    def __init__(self, opened: Opened, kind: str, *, documents: str = "auto", field: str = "text",
                 skip_bad: bool = False, expected: bool = False) -> None:
        self._opened, self._kind, self._documents = opened, kind, documents
        self._field, self._skip_bad, self._expected = field, skip_bad, expected
        self._kept: Extracted | None = None

    def texts(self, note: Note) -> Iterator[tuple[int, str]]:
        """Yields (line, text) of each document.

        Args:
            note: called with sentences about how the file was read, and what was passed over.

        Raises:
            Unreadable: the file has no readable text.
            TinyLMError: a record or the encoding is bad.
        """
        if self._kind in RECORDS:
            yield from self._records(note)
            return
        extracted = self._extracted()
        keep = "" if self._kind in ("pdf", "zip") else "; --set data.formats=keep learns it as it stands"
        note(extracted.note + keep)
        if not any(text.strip() for _, text in extracted.documents):
            raise Unreadable("holds no text", where=self._opened.where, remedy="Give a file that holds some text")
        yield from self._as_asked(extracted.documents)

    def _as_asked(self, documents: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Yields the documents, or their lines if `documents` is "line"."""
        if self._documents == "line":
            return read_lines((f"{text}\n" for _, text in documents), self._opened.where)
        return iter(documents)

    def _records(self, note: Note) -> Iterator[tuple[int, str]]:
        field, where, sentence = self._field, self._opened.where, ""
        records: Iterator[tuple[int, Record]]
        if self._kind == "jsonl":
            records = read_json_lines(read_lines(self._opened.read_text(), where))
            sentence = "" if self._expected else f"read as JSON lines, text in {field!r} (as --documents jsonl does)"
        elif self._kind == "csv":
            from tinylm.text.formats import tables

            records, field, sentence = tables.read(self._opened.read_text(), field, where)
        else:
            from tinylm.text.formats import json_files

            found = json_files.read(self._file(), field)
            if isinstance(found, Extracted):
                note(f"{found.note}; --documents text learns it as it stands")
                yield from self._as_asked(found.documents)
                return
            records, sentence = found
        if sentence:
            note(sentence)
        none = True
        try:
            for line, text in read_texts(records, field, where, skip_bad=self._skip_bad, note=note,
                                         by_line=self._kind != "json"):
                none = False
                yield line, text
        except TinyLMError as error:
            is_no_record = self._kind == "json" or not self._expected  # settings and the like, which lie beside texts
            if none and (is_no_record or self._skip_bad):
                raise Unreadable(error.what, where=error.where, remedy=error.remedy) from None
            raise

    def _extracted(self) -> Extracted:
        if self._kept:
            return self._kept
        refused = refusal(self._kind, self._opened.where)
        if refused:
            raise refused
        made = _reader(self._kind)(self._file())
        size = sum(len(text) for _, text in made.documents)
        if size <= self._left[0]:
            self._kept = made
            self._left[0] -= size
            weakref.finalize(self, partial(_give_back, self._left, size))
        return made

    def _file(self) -> File:
        """Reads the whole file. Raises: Unreadable: the file is too large."""
        data = bytearray()
        for chunk in self._opened.read_bytes():
            data += chunk
            if len(data) > LARGEST:
                remedy = way("Write it as JSON lines, which are read one by one: jq -c '.[]' {file} > {base}.jsonl",
                             self._opened.where) if self._kind == "json" else "Give its text in parts"
                raise Unreadable(f"has over {LARGEST >> 20} megabytes, too many to be read whole as its format needs",
                                 where=self._opened.where, remedy=remedy)
        return File(self._opened.where, bytes(data), self._opened.decode)


def _reader(kind: str) -> Callable[[File], Extracted]:
    module, _, name = _READERS[kind].partition(".")
    found: Callable[[File], Extracted] = getattr(import_module(f"tinylm.text.formats.{module}"), name)
    return found


def _give_back(left: list[int], size: int) -> None:
    left[0] += size
