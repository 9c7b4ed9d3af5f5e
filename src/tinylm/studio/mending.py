"""Texts in other encodings, made UTF-8: a page has no options by which a person could name an encoding."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import NamedTuple

from tinylm.system.files import replaced_atomically
from tinylm.text.formats.reading import format_of
from tinylm.text.reading.encodings import likely_encodings, marked
from tinylm.text.reading.packed import PACKED

SAMPLE_BYTES, CHUNK = 1 << 15, 1 << 20
ODD_SHARE = 4
"""A text is UTF-8 with damage if so many times as many characters beyond ASCII are right as are wrong."""


class Mended(NamedTuple):
    """The result of mending a text.

    Attributes:
        odd_bytes: places that were no text in its encoding, and were left out.
        encoding: that it was read in.
    """

    odd_bytes: int = 0
    encoding: str = "utf-8"


def mend(path: Path) -> Mended:
    """Rewrites a plain text that is not UTF-8 as UTF-8. Any other file stays as it is; so does one whose bytes do not
    tell its encoding."""
    with open(path, "rb") as file:
        sample = file.read(SAMPLE_BYTES)
    is_plain = path.suffix.lower() not in PACKED and not format_of(path.name, [sample], "auto", "")
    if not is_plain or b"\0" in sample or marked(sample)[0]:
        return Mended()
    good, odd, beyond = _count(path)
    if not odd:
        return Mended()
    names = ["utf-8"] if good >= ODD_SHARE * odd else likely_encodings(beyond)
    return Mended(_rewrite(path, names[0]), names[0]) if names else Mended()


def _count(path: Path) -> tuple[int, int, bytes]:
    """Characters beyond ASCII that are right in UTF-8, places that are not, and lines with bytes beyond ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = odd = 0
    lines = b""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            text = decoder.decode(chunk)
            replaced = text.count("\ufffd") - chunk.count(b"\xef\xbf\xbd")
            odd += max(0, replaced)
            good += len(text) - len(text.encode("ascii", "ignore")) - max(0, replaced)
            if len(lines) < SAMPLE_BYTES:
                lines += b"".join(line for line in chunk.splitlines(keepends=True) if not line.isascii())[:SAMPLE_BYTES]
    odd += decoder.decode(b"", final=True).count("\ufffd")
    return good, odd, lines


def _rewrite(path: Path, encoding: str) -> int:
    """Writes the text as UTF-8, without what is none. Returns the number of places that were none."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    odd = 0
    with replaced_atomically(path) as temporary, open(path, "rb") as source, open(temporary, "wb") as target:
        while chunk := source.read(CHUNK):
            text = decoder.decode(chunk)
            odd += text.count("\ufffd")
            target.write(text.replace("\ufffd", "").encode())
        text = decoder.decode(b"", final=True)
        target.write(text.replace("\ufffd", "").encode())
    return odd + text.count("\ufffd")
