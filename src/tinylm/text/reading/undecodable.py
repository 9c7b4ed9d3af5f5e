"""Errors for bytes that are not in their supposed encoding, with the encoding that is more likely."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tinylm.errors import TinyLMError, shell_word
from tinylm.system.untrusted import quoted
from tinylm.text.reading.encodings import COMMON, WIDE, likely_encodings, spoken
from tinylm.text.reading.packed import CHUNK, PACKED

MOST_SURVEYED = 64
"""Chunks that are searched of a text that is not UTF-8."""
SAMPLE = 1 << 15
"""Bytes from which the likely encodings are estimated."""


class Failure(NamedTuple):
    """A byte that cannot be decoded: the error, its position in the file, and whether the file ends there."""

    error: UnicodeDecodeError
    byte: int
    line: int
    encoding: str
    at_end: bool

    @property
    def position(self) -> str:
        return f"byte {self.byte} is 0x{self.error.object[self.error.start]:02X}, in line {self.line}"


def undecodable(failure: Failure, read: Callable[[], Iterator[bytes]], where: str) -> TinyLMError:
    """The error for a text that is not in its encoding.

    Args:
        read: reads the file again, to look through it.
    """
    is_wide, survey = failure.encoding in WIDE, _survey(read(), failure.encoding)
    if failure.at_end and failure.error.end == len(failure.error.object):
        return TinyLMError(f"ends in the middle of a character ({failure.position}, and the file ends there)",
                           where=where, remedy=_without_the_end(failure, where, is_certain=is_wide or survey.good > 0))
    if failure.encoding == "utf-8" and _CESU.match(failure.error.object, failure.error.start):
        return TinyLMError(f"is UTF-8 but for characters in two halves of three bytes (CESU-8): {failure.position}",
                           where=where, remedy="Write them as UTF-8" + _by_hand(_JOIN_HALVES, where))
    what = f"is not {spoken(failure.encoding)}: {failure.position} ({failure.error.reason})"
    if is_wide:
        return TinyLMError(what, where=where, remedy="Copy it again from where it came: it is damaged")
    if survey.bad * (4 if failure.encoding == "utf-8" else 20) <= survey.good:
        count = "1 byte:" if survey.bad == 1 else f"{survey.bad:,} bytes{survey.part}, of which the first,"
        return TinyLMError(f"is {spoken(failure.encoding)} but for {count} {failure.position}", where=where,
                           remedy=_without_bad_bytes(failure.encoding, where))
    return TinyLMError(what, where=where, remedy=_in_another_encoding(survey.sample))


_CESU = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_JOIN_HALVES = ("python3 -c \"import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()"
                ".decode('utf-8', 'surrogatepass').encode('utf-16', 'surrogatepass').decode('utf-16').encode())\"")


def stray_nul(byte: int, line: int, encoding: str, where: str) -> TinyLMError:
    """The error for a text with a NUL character, with its byte and line."""
    command = "" if encoding in WIDE else _by_hand("tr -d '\\000'", where)
    return TinyLMError(f"holds a NUL character at byte {byte}, in line {line}, as no text does", where=where,
                       remedy=f"Take all of them out{command or ' in an editor'}")


def line_ends(text: str) -> int:
    """The number of line ends in a part of a text that has one kind of them."""
    return max(text.count("\n"), text.count("\r"))


# ---- what the bytes are


@dataclass(frozen=True)
class _Survey:
    """Counts of good and bad characters beyond ASCII in an encoding, and a sample of lines with such characters."""

    sample: bytes
    good: int
    bad: int
    part: str
    """Of the text that was looked through, for people; empty if it was all of it."""


def _survey(chunks: Iterator[bytes], encoding: str) -> _Survey:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    rest = sample = b""
    good = bad = 0
    for chunk in islice(chunks, MOST_SURVEYED):
        text = decoder.decode(chunk)
        replaced = text.count("\ufffd")
        bad += replaced
        good += len(text) - len(text.encode("ascii", "ignore")) - replaced
        if len(sample) < SAMPLE:
            *lines, rest = (rest + chunk).splitlines(keepends=True)
            sample += b"".join(line for line in lines if not line.isascii())[:SAMPLE]
    part = f" in its first {MOST_SURVEYED * CHUNK >> 20} MB" if next(chunks, b"") else ""
    return _Survey(_whole_words(sample or rest[:SAMPLE]), good, bad, part)


def _whole_words(sample: bytes) -> bytes:
    """The sample up to the last byte that is a whole character in every encoding."""
    ends = re.search(rb"[\t\n\r -/][^\t\n\r -/]*\Z", sample)
    return sample[:ends.start() + 1] if ends and ends.start() and not sample.endswith(b"\n") else sample


# ---- remedies


def _in_another_encoding(sample: bytes) -> str:
    parts = [sample, *(_whole_words(sample[start:start + SAMPLE // 8]) for start in range(0, SAMPLE, SAMPLE // 8))]
    names = next(filter(None, map(likely_encodings, filter(None, parts))), [])  # a bad byte spoils one part of it
    if not names:
        return "Its bytes do not tell its encoding. If you know it: --encoding NAME"
    first, *others = [f"--encoding {name} ({_about(name)}\"{_excerpt(sample, name)}\")" for name in names]
    return f"By its bytes, most likely: {first}" + (f". Less likely: {', '.join(others)}" if others else "")


def _about(name: str) -> str:
    return f"{COMMON[name]}: " if name in COMMON else ""


def _excerpt(sample: bytes, name: str) -> str:
    """The words around the first characters beyond ASCII, as the encoding reads them."""
    text = sample.decode(name, "replace")
    at = next((index for index, character in enumerate(text) if not character.isascii()), 0)
    return quoted(" ".join(text[max(0, at - 12):at + 20].split()))


def _without_the_end(failure: Failure, where: str, *, is_certain: bool) -> str:
    other = "" if is_certain else "; or, if it is in an encoding other than UTF-8, name that: --encoding windows-1252"
    return ("Copy it again from where it came, or leave off the part of a character"
            + _by_hand(f"head -c {failure.byte}", where) + other)


def _without_bad_bytes(encoding: str, where: str) -> str:
    program = "iconv -c -f utf-8 -t utf-8"
    if encoding != "utf-8":  # iconv has few encodings on some systems
        program = ("python -c \"import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()"
                   f".decode('{encoding}', 'ignore').encode())\"")
    return "Mend them in an editor, or leave them out" + _by_hand(program, where)


def _by_hand(program: str, where: str) -> str:
    """The command that mends a file, if the system has such a program; else empty."""
    path = Path(where)
    if os.name == "nt" or not path.is_file():
        return ""
    packing = PACKED.get(path.suffix.lower())
    if packing:
        return f": {packing.command} -dc {shell_word(path)} | {program} > mended.txt"
    return f": {program} < {shell_word(path)} > mended.txt"
