"""Decoding: the text in a file, unpacked and decoded, or refused with the position of the first byte that is not text.

    path -> bytes (packed.py) -> encoding (a mark, or what was asked for) -> text in chunks
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tinylm.errors import TinyLMError
from tinylm.text.reading.binary import is_known_binary, looks_binary, no_text
from tinylm.text.reading.encodings import WIDE, checked_encoding, marked, spoken, wide_encoding
from tinylm.text.reading.packed import unpacked
from tinylm.text.reading.undecodable import Failure, line_ends, stray_nul, undecodable

HEAD = 1 << 16
"""Bytes at the beginning of a file by which its kind is recognised."""
ReadBytes = Callable[[], Iterator[bytes]]
"""Reads a file from its start, in chunks that are not empty."""
Refuse = Callable[[Failure, ReadBytes, str], TinyLMError]


def read_text(path: Path, where: str, encoding: str = "auto") -> Iterator[str]:
    """The text of a file in chunks, unpacked first if it is packed.

    Args:
        where: the file's name in errors.
        encoding: the encoding of a file without a byte order mark; "auto" is UTF-8.

    Raises:
        TinyLMError: the file cannot be read, is broken, or is not text.
    """
    return decoded(partial(unpacked, path, where), where, encoding)


def decoded(read: ReadBytes, where: str, encoding: str = "auto", refuse: Refuse = undecodable) -> Iterator[str]:
    """The text of bytes in chunks that are not empty. Errors: as `read_text`.

    Args:
        refuse: makes the error for a byte that cannot be decoded.
    """
    chunks = read()
    head = first_bytes(chunks)
    name, mark = marked(head)
    if not name:
        name = "utf-8" if encoding == "auto" else checked_encoding(encoding)
        if name not in WIDE:
            _refuse_binary(head[:HEAD], where)
    decoder = codecs.getincrementaldecoder(name)()
    offset, line = mark, 1
    for chunk in itertools.chain([head[mark:]], chunks, [b""]):
        start = offset - len(decoder.getstate()[0])  # a character may straddle two chunks
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line += line_ends(error.object[:error.start].decode(name, "replace"))
            raise refuse(Failure(error, start + error.start, line, name, at_end=not chunk), read, where) from None
        text = text.lstrip("\ufeff") if offset == mark else text
        if "\0" in text:
            before = text[:text.index("\0")]
            raise stray_nul(start + len(before.encode(name, "ignore")), line + line_ends(before), name, where)
        if name != "utf-8" and _SURROGATE.search(text):
            raise TinyLMError(f"holds half of a surrogate pair when it is read as {name}", where=where,
                              remedy="Give another --encoding")
        offset += len(chunk)
        line += line_ends(text)
        if text:
            yield text


def why_no_text(path: Path, encoding: str) -> str:
    """The reason in a few words why a file is not text, by its first chunk; "" for a text."""
    try:
        text = next(decoded(partial(unpacked, path, str(path)), str(path), encoding, _in_short), "")
    except TinyLMError as error:
        return error.what
    return "" if text else "is empty"


def settled_encoding(path: Path, where: str, encoding: str) -> str:
    """The encoding to read a file with: "auto" instead of the given one if the whole file is UTF-8. A text in another
    encoding is not UTF-8 by chance, and a folder may hold both."""
    if encoding == "auto":
        return encoding
    name = checked_encoding(encoding)
    decoder, beyond_ascii = codecs.getincrementaldecoder("utf-8")(), name in WIDE
    try:
        for chunk in itertools.chain(unpacked(path, where), [b""]):
            text = decoder.decode(chunk, final=not chunk)
            if "\0" in text:
                return encoding
            beyond_ascii = beyond_ascii or not text.isascii()
    except UnicodeDecodeError:
        return encoding
    return "auto" if beyond_ascii else encoding


def first_bytes(chunks: Iterator[bytes]) -> bytes:
    """The first chunk, or more of them, so that a byte order mark is whole."""
    head = next(chunks, b"")
    while 0 < len(head) < 4 and (more := next(chunks, b"")):
        head += more
    return head


# ---- refusals

_SURROGATE = re.compile("[\ud800-\udfff]")


def _refuse_binary(head: bytes, where: str) -> None:
    """Raises TinyLMError for bytes that are not text, or are a text in UTF-16 or UTF-32 without a mark."""
    if not looks_binary(head) and not is_known_binary(head):
        return
    if b"\0" in head and (name := wide_encoding(head)):
        raise TinyLMError(f"looks like {spoken(name)} without a byte order mark", where=where,
                          remedy=f"Read it with --encoding {name}")
    at = head.find(b"\0")
    line = line_ends(head[:max(0, at)].decode("latin-1")) + 1
    raise no_text(head, where, f"a NUL character at byte {at}, in line {line}" if at >= 0 else "")


def _in_short(failure: Failure, _: ReadBytes, where: str) -> TinyLMError:
    return TinyLMError(f"is not {spoken(failure.encoding)}", where=where)
