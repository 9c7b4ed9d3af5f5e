"""The files that a person points at: what a document is in each, and a way to read its text again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tinylm.text.decoding import read_text, settled_encoding
from tinylm.text.line_ends import LineEnds
from tinylm.text.packed import without_packing

if TYPE_CHECKING:  # pydantic takes a while to import
    from tinylm.config import DataConfig

Documents = Literal["text", "line", "jsonl"]
"""What one document is: a whole file, a line, or a jsonl record."""


@dataclass(frozen=True)
class Options:
    """How texts are opened: the same for the text to train on, one to validate on, and one to evaluate on.

    Attributes:
        documents: "text": a file is a document; "line": a line is; "jsonl": a line is a JSON object with the text in
            `text_field`; "auto": by the file's name, and lines for `hello`.
        text_field: the field of a jsonl record that holds the text.
        encoding: of files without a byte order mark; "auto" is UTF-8.
        line_ends: "normalize" reads CRLF and CR as \\n; "keep" leaves them.
    """

    documents: str = "auto"
    text_field: str = "text"
    encoding: str = "auto"
    line_ends: str = "normalize"

    @classmethod
    def of(cls, data: DataConfig) -> Options:
        """The options that a config has chosen."""
        return cls(**{field.name: getattr(data, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Source:
    """One file, or something like it: its name for people, what a document is in it, and a way to read it again.

    Attributes:
        note: what a person should know of how it is read; empty for plain text.
        is_plain: the file is the text, decoded; False where a reader of a format extracts it.
    """

    where: str
    documents: Documents
    chunks: Callable[[], Iterator[str]]
    note: str = ""
    is_plain: bool = True


class Tally:
    """What one pass over a text changed or passed over, counted for people."""

    def __init__(self) -> None:
        self.line_ends = LineEnds()

    def sentences(self) -> list[str]:
        return [sentence for sentence in (self.line_ends.sentence(),) if sentence]


def file_source(path: Path, options: Options, where: str = "") -> Source:
    """The source for one file. The place where a reader for its format is chosen, by its name and first bytes.

    Args:
        where: the file's name for people; empty: its path.
    """
    where = where or str(path)
    encoding = settled_encoding(path, where, options.encoding)
    note = f"{where} is UTF-8, and read as such, not as {options.encoding}" if encoding != options.encoding else ""
    return Source(where, kind_of(path, options.documents), partial(read_text, path, where, encoding), note)


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
