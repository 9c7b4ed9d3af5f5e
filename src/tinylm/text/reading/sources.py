"""Sources: the files that a person names, the documents in each, and a way to read its text again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tinylm.errors import TinyLMError
from tinylm.text.formats.extracted import RECORDS
from tinylm.text.reading.decoding import decoded, read_text, settled_encoding
from tinylm.text.reading.line_ends import LineEnds
from tinylm.text.reading.missing import as_strings, not_a_source
from tinylm.text.reading.notes import Notes
from tinylm.text.reading.packed import unpacked, without_packing

if TYPE_CHECKING:  # pydantic takes a while to import
    from tinylm.config.schema import DataConfig
    from tinylm.text.formats.reading import Formatted

Documents = Literal["text", "line", "jsonl", "json", "csv"]
"""What one document is: a whole file, a line, or a record: of JSON lines, of a JSON array, or a row of a table."""

DOCUMENTS = ("auto", "text", "line", "jsonl", "json", "csv")
"""The values of `Options.documents`."""


@dataclass(frozen=True)
class Options:
    """The way in which texts are opened: the same for the text to train on, one to validate on, and one to evaluate on.

    Attributes:
        documents: "text": a file is a document; "line": a line is; "jsonl": a line is a JSON object with the text in
            `text_field`; "json", "csv": so is an element of a JSON array, or a row of a table; "auto": by the file's
            name and content, and lines for `hello` and `animals`.
        text_field: the field of a record that holds the text, as `fields.text_of` takes it.
        skip_bad: pass over bad records and count them, rather than stop at the first.
        formats: "extract" reads the text of HTML, EPUB, chats, tables and the like; "keep" learns them as they stand.
        encoding: of files that are not UTF-8 and have no byte order mark; "auto": there are none.
        line_ends: "normalize" reads CRLF and CR as \\n; "keep" leaves them.
        chat_format: how the turns of conversations are written; empty: it is a text, without turns.
        format: the kind of a file of conversations; "auto": by its content.
        me: whose messages in a chat are the answers.
    """

    documents: str = "auto"
    text_field: str = "text"
    encoding: str = "auto"
    line_ends: str = "normalize"
    skip_bad: bool = False
    formats: str = "extract"
    chat_format: str = ""
    format: str = "auto"
    me: str = ""

    @classmethod
    def of(cls, data: DataConfig) -> Options:
        """The options in a config."""
        return cls(**{field.name: getattr(data, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Texts:
    """Texts that a program holds in memory, as a source. Each string is a document."""

    strings: tuple[str, ...]

    @classmethod
    def of(cls, texts: str | Iterable[str]) -> Texts:
        """Makes texts of strings. Raises: TinyLMError: one of them is not a string, or cannot be written as UTF-8."""
        if isinstance(texts, bytes | bytearray) or not isinstance(texts, Iterable):
            raise TinyLMError(f"must be strings, but they are of type {type(texts).__name__}", where="texts",
                              remedy="Give a list of strings: texts=[...]")
        if isinstance(texts, Mapping):
            raise TinyLMError("must be strings, but they are of type dict", where="texts",
                              remedy="Give what it holds: texts=list(data.values())")
        strings = (texts,) if isinstance(texts, str) else tuple(texts)
        for number, text in enumerate(strings):
            if not isinstance(text, str):
                raise TinyLMError(f"must be a string, but it is of type {type(text).__name__}",
                                  where=f"texts[{number}]", remedy=as_strings(text))
            if at := re.search("[\ud800-\udfff\0]", text):
                what = "a NUL character" if at[0] == "\0" else "half of a surrogate pair"
                raise TinyLMError(f"has {what} at character {at.start()}", where=f"texts[{number}]",
                                  remedy="Take it out")
        return cls(strings)


SourceLike = str | Path | Texts
"""A source as a person gives it."""


def chosen_source(source: SourceLike | None, texts: str | Iterable[str] | None,
                  call: str = "tinylm.train") -> SourceLike | None:
    """The source, or the texts that a program gives instead.

    Args:
        call: the name of the function that the program called, for remedies.

    Raises:
        TinyLMError: both are given, or the source is something else, such as a list of texts.
    """
    if source is not None and not isinstance(source, str | os.PathLike | Texts):
        raise not_a_source(source, call)
    if texts is None:
        return source
    if source is not None:
        raise TinyLMError("a source and texts are both given", where="texts", remedy="Give one of them")
    return Texts.of(texts)


@dataclass(frozen=True)
class Source:
    """A file or a similar source: its name for people, the kind of its documents, and a way to read it again.

    Attributes:
        note: a sentence for people about how it is read; empty for plain text.
        formatted: the documents of a file that is not plain text; `chunks` is then not used.
    """

    where: str
    documents: Documents
    chunks: Callable[[], Iterator[str]]
    note: str = ""
    formatted: Formatted | None = None


class Tally:
    """Counts of changes and of records passed over in one pass over a text, for people."""

    def __init__(self) -> None:
        self.line_ends, self.notes = LineEnds(), Notes()

    def sentences(self) -> list[str]:
        return [sentence for sentence in (*self.notes.sentences(), self.line_ends.sentence()) if sentence]


def file_source(path: Path, options: Options, where: str = "") -> Source:
    """The source for one file. Chooses the reader for its format by its name and first bytes.

    Args:
        where: the file's name for people; empty: its path.
    """
    from tinylm.text.formats.reading import Formatted, Opened  # compiles patterns that writing does not need
    from tinylm.text.formats.recognise import BY_SUFFIX

    where = where or str(path)
    encoding = settled_encoding(path, where, options.encoding)
    note = f"{where} is UTF-8, and read as such, not as {options.encoding}" if encoding != options.encoding else ""
    plain = Source(where, kind_of(path, options.documents), partial(read_text, path, where, encoding), note)
    kind = _format_of(path, where, options)
    if not kind:
        return plain
    opened = Opened(where, partial(unpacked, path, where), plain.chunks, partial(_decoded, where, encoding))
    expected = kind in (options.documents, BY_SUFFIX.get(without_packing(path).suffix.lower()))
    formatted = Formatted(opened, kind, documents=options.documents, field=options.text_field,
                          skip_bad=options.skip_bad, expected=expected)
    documents = next((each for each in RECORDS if each == kind), plain.documents)
    return replace(plain, documents=documents, formatted=formatted)


def _format_of(path: Path, where: str, options: Options) -> str:
    """The format by which a file is read; empty for plain text."""
    if options.documents in RECORDS:
        return options.documents
    if options.formats == "keep":
        return "jsonl" if options.documents == "auto" and is_jsonl(path) else ""
    from tinylm.text.formats.reading import format_of

    encoding = "" if options.encoding == "auto" else options.encoding
    return format_of(without_packing(path).name, unpacked(path, where), options.documents, encoding)


def _decoded(where: str, encoding: str, data: bytes, declared: str) -> str:
    """Decodes bytes from inside a file in the encoding that a person gave, else in the declared one."""
    encoding = declared if encoding == "auto" and declared else encoding
    return "".join(decoded(lambda: iter([data]), where, encoding))


def kind_of(path: Path, documents: str) -> Documents:
    if documents != "auto":
        return documents  # type: ignore[return-value]  # open_corpus has checked it
    return "jsonl" if is_jsonl(path) else "text"


def is_jsonl(path: Path) -> bool:
    """True if a file is named as JSON lines are."""
    return without_packing(path).suffix.lower() in (".jsonl", ".ndjson")


def walk(folder: Path, without: Iterable[str] = ()) -> list[Path]:
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in without]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def _raise(error: OSError) -> None:
    raise error
