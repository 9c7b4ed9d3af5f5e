"""Packed files, unpacked chunk by chunk in bounded memory: gzip, zstd, xz, bzip2, told apart by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from tinylm.errors import TinyLMError, shell_word

CHUNK = 1 << 20
"""Bytes read at once."""
LARGEST_WINDOW = 1 << 30
"""Bytes of memory that unpacking may take: `xz -9` asks for 64 MB, `zstd --long=30` for 1 GiB."""


class Packing(NamedTuple):
    """A compression format: a pattern of its first bytes, the function that unpacks it, and the program that does."""

    suffix: str
    magic: bytes
    unpack: Callable[[BinaryIO], Iterator[bytes]]
    command: str


def unpacked(path: Path, where: str) -> Iterator[bytes]:
    """The bytes of a file in chunks that are not empty; unpacked if its first bytes or its name say that it is packed.

    Args:
        where: the file's name in errors.

    Raises:
        TinyLMError: the file cannot be read, is broken, or needs more than `LARGEST_WINDOW` of memory.
    """
    packing = None
    try:
        with open(path, "rb") as file:
            packing = packing_of(file.peek(16)) or PACKED.get(path.suffix.lower())
            yield from filter(None, packing.unpack(file) if packing else _plain(file))
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise _broken(packing, error, where) from None
        raise TinyLMError(f"cannot be read ({error.strerror})", where=where) from None
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise _broken(packing, error, where) from None


def packing_of(head: bytes) -> Packing | None:
    """The packing that the first bytes of a file belong to."""
    return next((packing for packing in PACKED.values() if re.match(packing.magic, head)), None)


def without_packing(path: Path) -> Path:
    """The path without a suffix that tells of packing: `a.jsonl` for `a.jsonl.gz`."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def _broken(packing: Packing | None, error: Exception, where: str) -> TinyLMError:
    assert packing is not None, "what is not packed is not unpacked"
    if "too much memory" in str(error) or "limit" in str(error):
        option = " --long=31" if packing.suffix == ".zst" else ""
        return TinyLMError(f"takes more than {LARGEST_WINDOW >> 30} GiB of memory to unpack", where=where,
                           remedy=f"Unpack it first: {packing.command} -d{option} {shell_word(where)}")
    return TinyLMError(f"this {packing.suffix} file is broken: {str(error).rstrip('.')}", where=where,
                       remedy="Copy it again from where it came; a text that is not packed must have another name")


# ---- each packing


def _plain(file: BinaryIO) -> Iterator[bytes]:
    return iter(partial(file.read, CHUNK), b"")


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    return iter(partial(gzip.GzipFile(fileobj=file).read, CHUNK), b"")


def _zstd(file: BinaryIO) -> Iterator[bytes]:
    """Unpacks zstd frame by frame. The library's own stream reader would accept a file that was cut short."""
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
    frame, whole = unpacker.decompressobj(), False
    try:
        for packed in iter(partial(file.read, 4096), b""):  # 4 KB may unpack to 128 MB
            while packed:
                if whole:
                    frame = unpacker.decompressobj()
                yield frame.decompress(packed)
                whole, packed = frame.eof, frame.unused_data
    except zstandard.ZstdError as error:
        raise zlib.error(str(error)) from None
    if not whole:
        raise EOFError("it ends in the middle")


def _streams(file: BinaryIO, new: Callable[[], Any]) -> Iterator[bytes]:
    """Unpacks one stream after another, at most a chunk at a time, with zero bytes allowed between them."""
    stream, packed = new(), file.read(CHUNK)
    while True:
        yield stream.decompress(packed, CHUNK)
        packed = b""
        if stream.eof:
            packed = stream.unused_data.lstrip(b"\0")
            while not packed and (more := file.read(CHUNK)):
                packed = more.lstrip(b"\0")
            if not packed:
                return
            stream = new()
        elif stream.needs_input and not (packed := file.read(CHUNK)):
            raise EOFError("it ends in the middle")


def _bzip2(file: BinaryIO) -> Iterator[bytes]:
    try:
        yield from _streams(file, bz2.BZ2Decompressor)
    except OSError as error:  # bz2 raises no other error for broken data
        if error.errno is not None:
            raise
        raise zlib.error(str(error)) from None


def _xz(file: BinaryIO) -> Iterator[bytes]:
    return _streams(file, partial(lzma.LZMADecompressor, memlimit=LARGEST_WINDOW + (1 << 26)))


PACKED = {packing.suffix: packing for packing in (
    Packing(".gz", rb"\x1f\x8b\x08", _gzip, "gzip"),
    Packing(".zst", rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", _zstd, "zstd"),
    Packing(".xz", rb"\xfd7zXZ\x00", _xz, "xz"),
    Packing(".lzma", rb"\x5d\x00\x00", _xz, "xz --format=lzma"),
    Packing(".bz2", rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", _bzip2, "bzip2"))}
"""Suffix -> compression format."""
