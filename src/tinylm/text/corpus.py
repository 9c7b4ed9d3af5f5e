"""Corpora: opens the source that a person names, and yields its documents as pieces of text.

    source -> bytes -> decoded text -> documents -> pieces of about a million characters

A source is a file, a folder of files, `-` for standard input, or the name of a text that every Python carries. Files
may be `.jsonl`/`.ndjson`, and `.gz` or `.zst`. Everything streams: a text far larger than the memory can be read, as
often as needed. An error that a person can mend is a `TinyLMError` that names the file and the byte or line.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from tinylm.errors import TinyLMError, did_you_mean
from tinylm.system.paths import IN_MEMORY, given_path
from tinylm.text.formats.extracted import RECORDS
from tinylm.text.reading.built_in import BUILT_IN
from tinylm.text.reading.encodings import checked_encoding
from tinylm.text.reading.folders import select_texts
from tinylm.text.reading.missing import is_a_text, missing, not_a_source
from tinylm.text.reading.records import LONGEST, SKIP_BAD, read_lines
from tinylm.text.reading.sources import DOCUMENTS, Documents, Options, Source, SourceLike, Tally, Texts, file_source
from tinylm.text.white_space import WHITESPACE

_DEFAULT = Options()
PIECE = 1 << 20
"""Characters of a piece, about: a longer document is cut."""


class Piece(NamedTuple):
    """A stretch of a document's text.

    Attributes:
        ends_document: True if the document ends with this piece.
        file: the name of the file that the text is from; empty for a text in memory.
        line: the number, from 1, of the line of that file in which the piece begins.
        in_one_line: True if the whole piece is from that line, such as a jsonl record: line ends in the text are then
            not line ends of the file.
        special: the entry of a special token that stands here instead of a text, such as `<eos>` between the turns of a
            conversation; empty: none does.
        is_target: False for what a model reads and does not learn to write: what a user says in a conversation.
    """

    text: str
    ends_document: bool
    file: str = ""
    line: int = 1
    in_one_line: bool = False
    special: str = ""
    is_target: bool = True


class CorpusStats(NamedTuple):
    """The sizes of a corpus, of one pass over it. `bytes` counts the text in UTF-8, whatever encoding its file has."""

    characters: int
    bytes: int
    documents: int
    fingerprint: str
    """sha256 of the documents' text and ends, in hexadecimal."""
    alphabet: str
    """The distinct characters, sorted."""


class Corpus:
    """A text made of documents, which can be read from its start any number of times. Made by `open_corpus`.

    Attributes:
        has_turns: True if its documents are conversations, whose pieces say what is a target.
        held_out: the documents at its end that it holds out itself.
        is_shuffled: True if its documents stand in an order that was drawn.
    """

    has_turns = False
    held_out = 0
    is_shuffled = False

    def __init__(self, name: str, sources: list[Source], opened_as: Options, notes: Iterable[str] = ()) -> None:
        kinds = {source.documents for source in sources}
        self.name = name
        self.documents: Documents = kinds.pop() if len(kinds) == 1 else "text"
        self._sources, self._opened_as, self._notes = sources, opened_as, list(notes)
        self._stats: CorpusStats | None = None
        self._found: list[str] = []

    def pieces(self) -> Iterator[Piece]:
        """Yields the text in order, cut only where no tokenizer's result depends on the cut.

        Raises:
            TinyLMError: undecodable bytes, a broken archive or record, a word or line of over 16 million characters.
        """
        return self._pieces(Tally())

    def _pieces(self, tally: Tally) -> Iterator[Piece]:
        for source in self._sources:
            try:
                yield from self._pieces_of(source, tally)
            except TinyLMError as error:  # one file of other records: --skip-bad reads the rest
                if len(self._sources) == 1 or "--text-field" not in error.remedy or SKIP_BAD in error.remedy:
                    raise
                raise TinyLMError(error.what, where=error.where, remedy=f"{error.remedy}. {SKIP_BAD}") from None

    def _pieces_of(self, source: Source, tally: Tally) -> Iterator[Piece]:
        from tinylm.text.reading.noticing import (
            is_watched,
            watched,
        )  # compiles patterns, which asking a model does not need

        note = partial(tally.notes.add, source.where)
        in_one_line = source.documents != "text"
        if source.formatted:
            for line, text in source.formatted.texts(note):
                text = text if self._opened_as.line_ends == "keep" else tally.line_ends.normalised(text)
                yield from _cut([text], source.where, line, in_one_line)
            return
        chunks = source.chunks()
        if self._opened_as.line_ends != "keep":
            chunks = tally.line_ends.normalised_chunks(chunks)
        if is_watched(source.where):
            chunks = watched(chunks, source.where, in_one_line, note)
        if not in_one_line:
            yield from _cut(chunks, source.where)
            return
        for line, text in read_lines(chunks, source.where):
            yield from _cut([text], source.where, line, in_one_line)

    def stats(self) -> CorpusStats:
        """Sizes, alphabet and fingerprint. The first call reads the whole text; later calls return the same.

        Raises:
            TinyLMError: as `pieces`; the text is nothing but white space.
        """
        if self._stats is None:
            tally = Tally()
            self._stats = _measure(self._pieces(tally), self.name)
            self._found = tally.sentences()
        return self._stats

    @property
    def has_records(self) -> bool:
        """True if a source consists of records, whose text is in a field."""
        return any(source.documents in RECORDS for source in self._sources)

    def notes(self) -> list[str]:
        """Sentences about the reading of the text, for people: what was normalised or passed over, with counts.

        Raises:
            TinyLMError: as `stats`, which reads the text if that was not done before.
        """
        notes = [*self._notes]
        notes += dict.fromkeys(source.note for source in self._sources if source.note)
        if self.stats().documents == 1 and self.documents == "line":
            notes.append("the text is a single line, so it is one document: --documents text reads flowing text")
        return [*notes, *self._found]

    def open_like(self, source: SourceLike) -> Corpus:
        """Opens another source with the same options, such as a file to validate on. Raises: as `open_corpus`."""
        return open_corpus(source, self._opened_as)


def open_corpus(source: SourceLike, options: Options = _DEFAULT, **overrides: Any) -> Corpus:
    """Opens a text to train on.

    Args:
        source: a path; `-` for standard input; a built-in text: `hello`, `animals`, `python-reference`,
            `python-stdlib`, which mean the same in every folder (a file of such a name is `./hello`); or texts in
            memory.
        options: the way in which it is read; default: `Options()`.
        overrides: single options by name, over `options`.

    Raises:
        TinyLMError: the source does not exist, cannot be read, is empty, is not text, or is in an unknown encoding.

    >>> open_corpus("hello").stats().documents
    4
    """
    options = replace(options, **overrides)
    if options.documents not in DOCUMENTS:
        raise TinyLMError(f"there is no kind of documents {options.documents!r}", where="documents",
                          remedy=did_you_mean(options.documents, DOCUMENTS))
    if options.encoding != "auto":
        checked_encoding(options.encoding)
    corpus = _open(source, options)
    if next(corpus.pieces(), None) is None:  # also an early error for a first file that is not text
        raise TinyLMError("there is no text in it", where=corpus.name, remedy="Give a file that holds some text")
    return corpus


def _open(source: SourceLike, options: Options) -> Corpus:
    if isinstance(source, Texts):
        return _in_memory(source, options)
    if not isinstance(source, str | os.PathLike):
        raise not_a_source(source)
    if source == "-":
        return _spooled(_standard_input(), Path("standard input"), options)
    if source in BUILT_IN:
        if options.documents in RECORDS:
            raise TinyLMError(f"is a built-in text, which is no {options.documents}", where=str(source),
                              remedy="Leave out what its documents are: --documents auto")
        return Corpus(str(source), BUILT_IN[str(source)](options), options)
    path = given_path(source)
    try:
        if str(source) and path.is_dir():
            sources, notes = select_texts(path, options)
            return Corpus(path.resolve().name, sources, options, notes)
        if path.is_file():
            return Corpus(path.name, [file_source(path, options)], options)
        if str(source) and path.exists():  # a pipe: it can be read only once
            with open(path, "rb") as pipe:
                return _spooled(pipe, path, options)
    except OSError as error:
        if not is_a_text(str(source)):
            raise TinyLMError(f"cannot be read ({error.strerror})", where=str(source)) from None
    raise missing(str(source), BUILT_IN)


# ---- sources


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise TinyLMError("there is no standard input", remedy="Give a file instead of -")
    return getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode())


def _spooled(stream: BinaryIO, path: Path, options: Options) -> Corpus:
    """A corpus of a stream, which can be read only once: a temporary copy, removed with the corpus."""
    handle, copied = tempfile.mkstemp(prefix="tinylm-", suffix=path.suffix)
    with open(handle, "wb") as copy:
        shutil.copyfileobj(stream, copy)
    corpus = Corpus(path.name, [file_source(Path(copied), options, where=str(path))], options)
    weakref.finalize(corpus, Path(copied).unlink, missing_ok=True)
    return corpus


def _in_memory(texts: Texts, options: Options) -> Corpus:
    """A corpus of strings. Each of several strings is a document, as a record is."""
    if options.documents not in ("auto", "text", "line"):
        raise TinyLMError(f"texts in memory are documents themselves, and no {options.documents}", where="documents",
                          remedy='Leave it out, or give documents="line" for a document a line')
    kind: Documents = "line" if options.documents == "line" else "text"
    sources = [Source(f"texts[{number}]", kind, partial(iter, [text])) for number, text in enumerate(texts.strings)]
    empty = sum(not text for text in texts.strings)
    corpus = Corpus(IN_MEMORY, sources, options,
                    [f"{empty:,} of {len(sources):,} texts are empty, and no documents"] if empty else [])
    if len(sources) > 1 and options.documents == "auto":
        corpus.documents = "jsonl"
    return corpus


# ---- documents

_BREAK = re.compile(rf"[^{WHITESPACE}](?=[{WHITESPACE}])")


def _cut(chunks: Iterable[str], where: str, line: int = 1, in_one_line: bool = False) -> Iterator[Piece]:
    """Yields a document in pieces, cut before white space that follows another character.

    At such a cut, words end for each of our tokenizers. GPT-2's pattern never looks back, no alternative of it goes on
    from other characters into white space, and its only look-ahead, `\\s+(?!\\S)`, is about white space. So the pattern
    finds the same tokens before and after the cut when either side is taken alone.

    Args:
        line: the line in which the document begins.
        in_one_line: the whole document is from that line.
    """
    held, searched = "", PIECE
    for chunk in chunks:
        held += chunk
        while found := _BREAK.search(held, searched):
            yield Piece(held[:found.end()], False, where, line, in_one_line)
            line += 0 if in_one_line else held.count("\n", 0, found.end())
            held, searched = held[found.end():], PIECE
        searched = max(PIECE, len(held) - 1)
        if len(held) > LONGEST + PIECE:
            raise TinyLMError(f"a single word of over {LONGEST >> 20} million characters", where=where,
                              remedy="Is this text? A tokenizer needs spaces or line ends here and there")
    if held:
        yield Piece(held, True, where, line, in_one_line)


class Fingerprint:
    """sha256 of documents' text and ends, fed piece by piece."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, piece: Piece) -> int:
        """Adds the next piece. Returns its length in UTF-8."""
        encoded = piece.text.encode()
        self._digest.update(encoded)
        if piece.special:  # two more bytes that UTF-8 never uses
            self._digest.update((b"\xfd" if piece.is_target else b"\xfe") + piece.special.encode())
        if piece.ends_document:
            self._digest.update(b"\xff")  # a byte that UTF-8 never uses: ["ab"] and ["a", "b"] differ
        return len(encoded)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _measure(pieces: Iterator[Piece], name: str) -> CorpusStats:
    characters = size = documents = 0
    alphabet: set[str] = set()
    fingerprint = Fingerprint()
    for piece in pieces:
        size += fingerprint.add(piece)
        characters += len(piece.text)
        documents += piece.ends_document
        alphabet.update(piece.text)
    if all(character.isspace() for character in alphabet):
        raise TinyLMError("holds nothing but white space", where=name, remedy="Give a file that holds some text")
    return CorpusStats(characters, size, documents, fingerprint.hexdigest(), "".join(sorted(alphabet)))
