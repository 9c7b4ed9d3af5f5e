"""Opens what a person points at and delivers its documents as pieces of text.

    source -> bytes -> decoded text -> documents -> pieces of about a million characters

A source is a file, a folder of files, `-` for standard input, or the name of a text that every Python carries. Files
may be `.jsonl`/`.ndjson`, and `.gz` or `.zst`. Everything streams: a text far larger than the memory can be read, twice
if need be. What a person can mend is a `TinyLMError` that names the file and the byte or line.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import re
import shutil
import sys
import sysconfig
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from tinylm.errors import TinyLMError, did_you_mean, nearest
from tinylm.text.decoding import PACKED, is_text, read_text

Documents = Literal["text", "line", "jsonl"]
"""What one document is: a whole file, a line, or a jsonl record."""

PIECE = 1 << 20
"""A document longer than this many characters is delivered in pieces of about this length."""
LONGEST = 16 << 20
"""The longest word, line or jsonl record in characters: what must fit in memory at once."""

HELLO = ("hello , how are you ?", "hello , how is your day ?", "how are you ?", "how is your day ?")
"""The four sentences of the teaching notebook, in its order."""

WHITESPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""The inside of a character class: what GPT-2's pattern means by \\s (Python's \\s has \\x1c-\\x1f besides)."""


class Piece(NamedTuple):
    """A stretch of a document's text, whether the document ends with it, and where it stands.

    `line` is the number, from 1, of the line of file `file` in which the stretch begins. If `in_one_line`, all of it
    comes from that line: it is a document of its own, and line ends in it (of a jsonl record) are no line ends of the
    file.
    """

    text: str
    ends_document: bool
    file: str = ""
    line: int = 1
    in_one_line: bool = False


class CorpusStats(NamedTuple):
    """What one pass over a corpus learns. `bytes` counts the text as UTF-8, whatever it was stored as."""

    characters: int
    bytes: int
    documents: int
    fingerprint: str
    """sha256 of the documents' text and of where each one ends, in hexadecimal."""
    alphabet: str
    """Its distinct characters, sorted."""


class _Options(NamedTuple):
    """The choices of `open_corpus`."""

    documents: str
    text_field: str


@dataclass(frozen=True)
class _Source:
    """One file, or something like it: its name for people, what a document is in it, and a way to read it again."""

    where: str
    documents: Documents
    chunks: Callable[[], Iterator[str]]


class Corpus:
    """A text made of documents, read from its start as often as wanted. Made by `open_corpus`."""

    def __init__(self, name: str, sources: list[_Source], opened_as: _Options) -> None:
        kinds = {source.documents for source in sources}
        self.name = name
        self.documents: Documents = kinds.pop() if len(kinds) == 1 else "text"
        self._sources, self._opened_as = sources, opened_as
        self._stats: CorpusStats | None = None

    def pieces(self) -> Iterator[Piece]:
        """The text in order, cut only where no tokenizer's result depends on it.

        Raises:
            TinyLMError: undecodable bytes, a broken archive or record, a word or line of over 16 million characters.
        """
        for source in self._sources:
            if source.documents == "text":
                yield from _cut(source.chunks(), source.where)
                continue
            for number, text in self._short_documents(source):
                yield from _cut([text], source.where, number)

    def _short_documents(self, source: _Source) -> Iterator[tuple[int, str]]:
        """(line number, text) of each."""
        lines = _lines(source.chunks(), source.where)
        if source.documents == "line":
            return lines
        return _records(lines, self._opened_as.text_field, source.where)

    def stats(self) -> CorpusStats:
        """Sizes, alphabet and fingerprint: the first call reads the whole text, later ones remember.

        Raises:
            TinyLMError: as `pieces`, and when there is nothing but white space.
        """
        if self._stats is None:
            self._stats = _measure(self.pieces(), self.name)
        return self._stats

    def another(self, source: str | Path) -> Corpus:
        """Opens another source with the same options, such as a file to validate on. Raises: as `open_corpus`."""
        return open_corpus(source, **self._opened_as._asdict())


def open_corpus(source: str | Path, *, documents: str = "auto", text_field: str = "text") -> Corpus:
    """Opens a text to train on.

    Args:
        source: a path; `-` for standard input; or a built-in text: `hello`, `python-reference`, `python-stdlib`, which
            mean the same in every folder (a file of such a name is `./hello`).
        documents: "text": a file is a document; "line": a line is; "jsonl": a line is a JSON object with the text in
            `text_field`; "auto": by the file's name, and lines for `hello`.
        text_field: the field of a jsonl record that holds the text.

    Raises:
        TinyLMError: it does not exist, cannot be read, is empty, is not text, or is in an unknown encoding.
    """
    if documents not in ("auto", "text", "line", "jsonl"):
        raise TinyLMError(f"there is no kind of documents {documents!r}", where="documents",
                          remedy=did_you_mean(documents, ("auto", "text", "line", "jsonl")))
    corpus = _open(str(source), _Options(documents, text_field))
    if next(corpus.pieces(), None) is None:  # also tells early of a first file that is no text
        raise TinyLMError("there is no text in it", where=corpus.name, remedy="Give a file that holds some text")
    return corpus


def _open(source: str, options: _Options) -> Corpus:
    if source == "-":
        return _spooled(_standard_input(), Path("standard input"), options)
    if source in BUILT_IN:
        return Corpus(source, BUILT_IN[source](options.documents), options)
    path = Path(source)
    try:
        if source and path.is_dir():
            return Corpus(path.resolve().name, _folder(path, options.documents), options)
        if path.is_file():
            return Corpus(path.name, [_file(path, options.documents)], options)
        if source and path.exists():  # a pipe: it can be read only once
            with open(path, "rb") as pipe:
                return _spooled(pipe, path, options)
    except OSError as error:
        raise TinyLMError(f"cannot be read ({error.strerror})", where=source) from None
    raise _missing(source)


def _missing(source: str) -> TinyLMError:
    path = Path(source)
    names = sorted(os.listdir(path.parent)) if path.parent.is_dir() and os.access(path.parent, os.R_OK) else []
    close = [str(path.with_name(name)) for name in nearest(path.name, names)] or nearest(source, BUILT_IN)
    remedy = f"Did you mean {close[0]!r}?" if close else f"Give a path, or a built-in text: {', '.join(BUILT_IN)}"
    return TinyLMError("there is no such file or folder", where=source or "an empty name", remedy=remedy)


# ---- sources


def _file(path: Path, documents: str, where: str = "") -> _Source:
    return _Source(where or str(path), _kind(path, documents), partial(read_text, path, where or str(path)))


def _kind(path: Path, documents: str) -> Documents:
    if documents != "auto":
        return documents  # type: ignore[return-value]  # open_corpus has checked it
    return "jsonl" if _is_jsonl(path) else "text"


def _is_jsonl(path: Path) -> bool:
    name = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return name.suffix.lower() in (".jsonl", ".ndjson")


def _folder(folder: Path, documents: str) -> list[_Source]:
    """The text files below a folder, sorted by path. Hidden files and files that are no text are passed over."""
    paths = [path for path in _walk(folder) if documents != "jsonl" or _is_jsonl(path)]
    sources = [_file(path, documents) for path in paths if is_text(path)]
    if not sources:
        kind = ".jsonl or .ndjson" if documents == "jsonl" else "text"
        raise TinyLMError(f"this folder holds no {kind} files", where=str(folder),
                          remedy="Give a folder with such files, or one file")
    return sources


def _walk(folder: Path, without: Iterable[str] = ()) -> list[Path]:
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in without]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def _raise(error: OSError) -> None:
    raise error


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise TinyLMError("there is no standard input", remedy="Give a file instead of -")
    return getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode())


def _spooled(stream: BinaryIO, path: Path, options: _Options) -> Corpus:
    """A corpus of what can be read only once: copied to a temporary file, which goes when the corpus does."""
    handle, copied = tempfile.mkstemp(prefix="tinylm-", suffix=path.suffix)
    with open(handle, "wb") as copy:
        shutil.copyfileobj(stream, copy)
    corpus = Corpus(path.name, [_file(Path(copied), options.documents, where=str(path))], options)
    weakref.finalize(corpus, Path(copied).unlink, missing_ok=True)
    return corpus


def _hello(documents: str) -> list[_Source]:
    kind: Documents = "line" if documents == "auto" else documents  # type: ignore[assignment]
    return [_Source("hello", kind, lambda: iter(["\n".join(HELLO) + "\n"]))]


def _python_reference(documents: str) -> list[_Source]:
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    return [_Source("python-reference", _kind(Path(), documents), lambda: iter([text]))]


def _python_stdlib(documents: str) -> list[_Source]:
    folder = Path(sysconfig.get_path("stdlib"))
    others = ("site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__")
    paths = [path for path in _walk(folder, without=others) if path.suffix == ".py" and path.stat().st_size]
    return [_file(path, documents) for path in paths]


BUILT_IN: dict[str, Callable[[str], list[_Source]]] = {
    "hello": _hello, "python-reference": _python_reference, "python-stdlib": _python_stdlib,
}


# ---- documents

_BREAK = re.compile(rf"[^{WHITESPACE}](?=[{WHITESPACE}])")


def _cut(chunks: Iterable[str], where: str, only_line: int | None = None) -> Iterator[Piece]:
    """A document in pieces, cut before white space that follows something else. `only_line`: it is that line alone.

    There, words end for every tokenizer of ours. For GPT-2's pattern: it never looks back, no alternative goes on from
    other characters into white space, and its only look ahead, `\\s+(?!\\S)`, is about white space. So what it finds
    before the cut and after it stays the same when either side is taken alone.
    """
    held, searched, line, in_one_line = "", PIECE, only_line or 1, only_line is not None
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


def _lines(chunks: Iterable[str], where: str) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end), passing over lines of nothing but white space."""
    rest, number = "", 0
    for chunk in itertools.chain(chunks, ["\n"]):
        *lines, rest = (rest + chunk).split("\n")
        for line in lines:
            number += 1
            if line and not line.isspace():
                yield number, line.removesuffix("\r")
        if len(rest) > LONGEST:
            raise TinyLMError(f"a line of over {LONGEST >> 20} million characters",
                              where=f"{where}, line {number + 1}",
                              remedy="If a line is not a document of its own: --documents text")


_SURROGATE = re.compile("[\ud800-\udfff]")


def _records(lines: Iterable[tuple[int, str]], field: str, where: str) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        text = _record_text(line, field, f"{where}, line {number}")
        if text:
            yield number, text


def _record_text(line: str, field: str, where: str) -> str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise TinyLMError(f"is not valid JSON: {error.msg} at character {error.pos + 1}", where=where) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets a thousand deep
        raise TinyLMError(f"is not JSON that can be read: {error}", where=where) from None
    if not isinstance(record, dict) or field not in record:
        fields = f"its fields are: {', '.join(record)}" if isinstance(record, dict) else "it is not a JSON object"
        raise TinyLMError(f"has no field {field!r}; {fields}", where=where,
                          remedy="Name the field that holds the text: --set data.text_field=NAME")
    text = record[field]
    if not isinstance(text, str):
        raise TinyLMError(f"the field {field!r} is not a string", where=where)
    if _SURROGATE.search(text):  # JSON can write one, UTF-8 cannot
        raise TinyLMError(f"the field {field!r} has half of a surrogate pair", where=where,
                          remedy="Write the character as UTF-8, or both of its \\u halves")
    return text


class Fingerprint:
    """sha256 of documents' text and of where each one ends, fed piece by piece."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, piece: Piece) -> int:
        """Takes the next piece. Returns its length in UTF-8."""
        encoded = piece.text.encode()
        self._digest.update(encoded)
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
