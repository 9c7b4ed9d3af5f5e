"""Sources of chats: a file's text, as often as needed, whatever packs it and however it ends its lines."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path

from tinylm.errors import TinyLMError
from tinylm.system.paths import given_path
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.formats.extracted import LARGEST, way
from tinylm.text.formats.recognise import HEAD
from tinylm.text.reading.sources import SourceLike


class ChatSource:
    """A file whose text is read as it stands. Made by `open_source`.

    Attributes:
        where: the file's name for people.
        suffix: of its name without a packer's suffix, in lower case: ".csv".
    """

    def __init__(self, corpus: Corpus, where: str, suffix: str) -> None:
        self._corpus, self.where, self.suffix = corpus, where, suffix

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
        source: a path, packed or not; `-` for standard input; or a text in memory.
        encoding: of a file that is not UTF-8 and has no byte order mark.

    Raises:
        TinyLMError: there is no such file, it cannot be read, or is not text.
    """
    if isinstance(source, str | Path) and str(source) != "-" and given_path(source).is_dir():
        raise TinyLMError("is a folder, and a chat is one file", where=str(source), remedy="Give one of its files")
    corpus = open_corpus(source, documents="text", formats="keep", encoding=encoding)
    path = given_path(source) if isinstance(source, str | Path) else Path()
    from tinylm.text.reading.packed import without_packing

    where = str(path) if path.is_file() else corpus.name
    return ChatSource(corpus, where, without_packing(path).suffix.lower())
