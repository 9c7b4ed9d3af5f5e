"""The files that a person points at: what a document is in each, and a way to read its text again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from tinylm.errors import TinyLMError
from tinylm.text.decoding import PACKED, is_text, read_text

Documents = Literal["text", "line", "jsonl"]
"""What one document is: a whole file, a line, or a jsonl record."""


class Options(NamedTuple):
    """The choices of `open_corpus`."""

    documents: str
    text_field: str


@dataclass(frozen=True)
class Source:
    """One file, or something like it: its name for people, what a document is in it, and a way to read it again."""

    where: str
    documents: Documents
    chunks: Callable[[], Iterator[str]]


def file_source(path: Path, documents: str, where: str = "") -> Source:
    return Source(where or str(path), kind_of(path, documents), partial(read_text, path, where or str(path)))


def kind_of(path: Path, documents: str) -> Documents:
    if documents != "auto":
        return documents  # type: ignore[return-value]  # open_corpus has checked it
    return "jsonl" if _is_jsonl(path) else "text"


def _is_jsonl(path: Path) -> bool:
    name = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return name.suffix.lower() in (".jsonl", ".ndjson")


def folder_sources(folder: Path, documents: str) -> list[Source]:
    """The text files below a folder, sorted by path. Hidden files and files that are no text are passed over."""
    paths = [path for path in walk(folder) if documents != "jsonl" or _is_jsonl(path)]
    sources = [file_source(path, documents) for path in paths if is_text(path)]
    if not sources:
        kind = ".jsonl or .ndjson" if documents == "jsonl" else "text"
        raise TinyLMError(f"this folder holds no {kind} files", where=str(folder),
                          remedy="Give a folder with such files, or one file")
    return sources


def walk(folder: Path, without: Iterable[str] = ()) -> list[Path]:
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in without]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def _raise(error: OSError) -> None:
    raise error
