"""Character vectors of an R package's data file (`Rdata.rdb`): zlib streams, each an object in R's XDR serialisation.

Source: R Internals, "Serialization Formats".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_STRINGS, _STRING = 16, 9
_LENGTH_BYTES, _HEADER_BYTES = 4, 14


def read_vectors(path: Path) -> Iterator[list[str]]:
    """Yields the strings of each object that is a character vector; an object of another type is passed over."""
    data, position = path.read_bytes(), 0
    while position < len(data):
        stream = zlib.decompressobj()
        value = stream.decompress(data[position + _LENGTH_BYTES:])
        position = len(data) - len(stream.unused_data)
        yield from _strings(value)


def _strings(value: bytes) -> Iterator[list[str]]:
    """Yields the strings, if the serialised object (version 3, which names its encoding) is a character vector."""
    [encoding] = struct.unpack_from(">i", value, _HEADER_BYTES)
    position = _HEADER_BYTES + 4 + encoding
    flags, count = struct.unpack_from(">ii", value, position)
    if flags & 0xFF != _STRINGS:
        return
    position, found = position + 8, []
    for _ in range(count):
        flags, length = struct.unpack_from(">ii", value, position)
        assert flags & 0xFF == _STRING
        position += 8
        found.append(value[position:position + max(length, 0)].decode("utf-8", "replace"))
        position += max(length, 0)
    yield found
