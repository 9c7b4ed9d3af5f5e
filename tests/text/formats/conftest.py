"""A file of any format, read as a person's would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tinylm.errors import TinyLMError
from tinylm.text.corpus import open_corpus


class Read(NamedTuple):
    """The documents of a file with the lines where they begin, and what a person is told."""

    documents: list[str]
    lines: list[int]
    notes: str


Reader = Callable[..., Read]
Refused = Callable[..., str]


def _path(tmp_path: Path, name: str, content: bytes | str) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Reads a file twice, which must give the same: `read("a.html", "<p>one</p>")`."""
    def read(name: str, content: bytes | str, **options: Any) -> Read:
        corpus = open_corpus(_path(tmp_path, name, content), **options)
        corpus.stats()
        documents, lines, held = [], [], ""
        for piece in corpus.pieces():
            if not held:
                lines.append(piece.line)
            held += piece.text
            if piece.ends_document:
                documents.append(held)
                held = ""
        assert list(corpus.pieces()) == list(corpus.pieces())
        return Read(documents, lines, "\n".join(corpus.notes()))

    return read


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """The message of a file that cannot be read: one line that names the file."""
    def refused(name: str, content: bytes | str, **options: Any) -> str:
        with pytest.raises(TinyLMError) as caught:
            open_corpus(_path(tmp_path, name, content), **options).stats()
        message = str(caught.value)
        assert "\n" not in message
        assert name in caught.value.where
        return message

    return refused
