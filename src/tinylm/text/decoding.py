"""The text in a file: unpacked, decoded, and refused with the place of the first byte that cannot be text."""

from __future__ import annotations

import codecs
import gzip
import itertools
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tinylm.errors import TinyLMError

_CHUNK = 1 << 20


def read_text(path: Path, where: str) -> Iterator[str]:
    """The text of a file in chunks: UTF-8, or UTF-16 with a byte order mark; unpacked first if named .gz or .zst.

    Args:
        where: the file's name in errors.

    Raises:
        TinyLMError: it cannot be read, is broken, or is not text.
    """
    return _decode(_read(path, where), where)


def is_text(path: Path) -> bool:
    """Whether a file's first megabyte looks like text; False when it is empty."""
    head = next(_read(path, str(path)), b"")
    return bool(head) and (head.startswith(tuple(_BYTE_ORDER_MARKS)) or not _looks_binary(head))


# ---- bytes


def _read(path: Path, where: str) -> Iterator[bytes]:
    """The unpacked bytes of a file, in chunks."""
    unpack = PACKED.get(path.suffix.lower(), _plain)
    try:
        with open(path, "rb") as file:
            yield from unpack(file)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TinyLMError(f"this {path.suffix} file is broken: {str(error).rstrip('.')}", where=where,
                          remedy="Copy it again from where it came") from None
    except OSError as error:
        raise TinyLMError(f"cannot be read ({error.strerror})", where=where) from None


def _plain(file: BinaryIO) -> Iterator[bytes]:
    return iter(partial(file.read, _CHUNK), b"")


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    return iter(partial(gzip.GzipFile(fileobj=file).read, _CHUNK), b"")


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    """Frame after frame. The library's own stream reader would take a file that was cut short for a whole one."""
    import zstandard

    frame, whole = zstandard.ZstdDecompressor().decompressobj(), False
    try:
        for packed in iter(partial(file.read, 4096), b""):  # 4 KB can unpack to 128 MB; more would be too much
            while packed:
                if whole:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(packed)
                whole, packed = frame.eof, frame.unused_data
    except zstandard.ZstdError as error:
        raise zlib.error(str(error)) from None
    if not whole:
        raise EOFError("it ends in the middle")


PACKED: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {".gz": _gzip, ".zst": _zstd}


# ---- text

_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\v\f\r\x1b"))


def _looks_binary(head: bytes) -> bool:
    """NUL bytes, or over 2% of other bytes that no text has: compressed data, for one, is a tenth of them."""
    return b"\0" in head or len(head.translate(None, _CONTROLS)) < 0.98 * len(head)


def _decode(chunks: Iterator[bytes], where: str) -> Iterator[str]:
    head = next(chunks, b"")
    while 0 < len(head) < 4 and (more := next(chunks, b"")):
        head += more
    mark = next((mark for mark in _BYTE_ORDER_MARKS if head.startswith(mark)), b"")
    encoding = _BYTE_ORDER_MARKS.get(mark, "utf-8")
    if not mark and _looks_binary(head[:65536]):
        raise _not_text(head[:65536], where)
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = len(mark)
    for chunk in itertools.chain([head[len(mark):]], chunks, [b""]):
        start = offset - len(decoder.getstate()[0])  # a character may straddle two chunks
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise _undecodable(error, start, where) from None
        if "\0" in text:
            at = start + len(text[:text.index("\0")].encode(encoding))
            raise TinyLMError(f"looks like a binary file (a NUL character at byte {at})", where=where,
                              remedy="Give a text file")
        offset += len(chunk)
        if text:
            yield text


def _not_text(head: bytes, where: str) -> TinyLMError:
    """A text in UTF-16 has a NUL in every second byte, as far as it is in a Latin script."""
    for order, zeros, others in (("le", head[1::2], head[::2]), ("be", head[::2], head[1::2])):
        if zeros.count(0) > 0.5 * len(zeros) and others.count(0) < 0.05 * len(others):
            return TinyLMError("looks like UTF-16 without a byte order mark", where=where,
                               remedy=f"Convert it: iconv -f utf-16{order} -t utf-8")
    return TinyLMError("looks like a binary file", where=where,
                       remedy="Give a text file; a compressed one must be named .gz or .zst")


def _undecodable(error: UnicodeDecodeError, start: int, where: str) -> TinyLMError:
    at, value = start + error.start, error.object[error.start]
    name = "UTF-8" if error.encoding == "utf-8" else "UTF-16"
    return TinyLMError(f"is not {name}: byte {at} is 0x{value:02X} ({error.reason})", where=where,
                       remedy="Convert it, for example: iconv -f latin1 -t utf-8")
