"""Sources of chats: a file's text, as often as needed, whatever packs it and however it ends its lines."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePath

from tinylm.errors import TinyLMError
from tinylm.system.paths import given_path
from tinylm.system.untrusted import quoted
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.formats.archive import Archive
from tinylm.text.formats.extracted import LARGEST, way
from tinylm.text.formats.recognise import HEAD
from tinylm.text.reading.decoding import decoded
from tinylm.text.reading.packed import unpacked, without_packing
from tinylm.text.reading.sources import SourceLike, Texts

_SUFFIXES = (".txt", ".json", ".jsonl", ".ndjson", ".csv", ".tsv")
"""Of the text in an archive that may be a chat."""
_UNPACK = "Unpack it, and give the file in which the conversations are"


class ChatSource:
    """A file whose text is read as it stands. Made by `open_source`.

    Attributes:
        where: the file's name for people.
        given: the source as a command names it.
        suffix: of its name without a packer's suffix, in lower case: ".csv".
    """

    def __init__(self, corpus: Corpus, where: str, given: str | Path, suffix: str) -> None:
        self._corpus, self.where, self.given, self.suffix = corpus, where, given, suffix

    def chunks(self) -> Iterator[str]:
        """Yields the text in chunks, with `\\n` for every line end."""
        return (piece.text for piece in self._corpus.pieces())

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yields (number from 1, line without its end), empty lines too."""
        rest, number = "", 0
        for chunk in chain(self.chunks(), ["\n"]):
            *lines, rest = (rest + chunk).split("\n")
            for line in lines:
                number += 1
                yield number, line

    @cached_property
    def head(self) -> str:
        """The first characters, by which a kind is recognised."""
        return next(self.chunks(), "")[:HEAD]

    def whole(self) -> str:
        """The whole text. Raises: TinyLMError: it is too large to be held in memory as a whole."""
        chunks, size = [], 0
        for chunk in self.chunks():
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST:
                raise TinyLMError(f"has over {LARGEST >> 20} million characters, too many to be read whole as JSON is",
                                  where=self.where, remedy=way(
                    "Write it as JSON lines, which are read one by one: jq -c '.[]' {file} > {base}.jsonl", self.where))
        return "".join(chunks)


def open_source(source: SourceLike, encoding: str = "auto") -> ChatSource:
    """Opens a file of conversations.

    Args:
        source: a path, packed or not, or to a zip archive with one text in it; `-` for standard input; or a text in
            memory.
        encoding: of a file that is not UTF-8 and has no byte order mark.

    Raises:
        TinyLMError: there is no such file, it cannot be read, or is not text.
    """
    if isinstance(source, str | Path) and str(source) != "-" and given_path(source).is_dir():
        raise TinyLMError("is a folder, and a chat is one file", where=str(source), remedy="Give one of its files")
    path = given_path(source) if isinstance(source, str | Path) else Path()
    if path.is_file() and zipfile.is_zipfile(path):
        return _zipped(path, encoding)
    corpus = open_corpus(source, documents="text", formats="keep", encoding=encoding)
    where = str(path) if path.is_file() else corpus.name
    given = "FILE" if isinstance(source, Texts) else "-" if source == "-" else path
    return ChatSource(corpus, where, given, without_packing(path).suffix.lower())


def _zipped(path: Path, encoding: str) -> ChatSource:
    """The one text in a zip archive, as phones export chats, with pictures and the like beside it.

    Raises:
        TinyLMError: the archive is broken or too large, or has no such text, or several.
    """
    if path.stat().st_size > LARGEST:
        raise TinyLMError(f"has over {LARGEST >> 20} megabytes, too many for an archive that is read whole",
                          where=str(path), remedy=_UNPACK)
    archive = Archive(b"".join(unpacked(path, str(path))), str(path))
    names = [name for name in archive.names if PurePath(name).suffix.lower() in _SUFFIXES]
    if len(names) != 1:
        listed = ", ".join(repr(quoted(name)) for name in names[:10]) or "none"
        raise TinyLMError(f"is a zip archive, and a chat is one text in it; its texts are: {listed}", where=str(path),
                          remedy=_UNPACK)
    data, where = archive.read(names[0]), f"{path}, {quoted(names[0])}"
    text = "".join(decoded(lambda: iter(filter(None, [data])), where, encoding))
    return ChatSource(open_corpus(Texts.of(text)), where, path, PurePath(names[0]).suffix.lower())
