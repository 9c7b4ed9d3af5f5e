"""Files that somebody else may have made: read whole or refused, and quoted with care."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from tinylm.errors import TinyLMError

_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202d\u202e\ud800-\udfff]")
LINE_END = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
"""Every kind of line end that a text may hold."""
_ON_ONE_LINE = re.compile(f"{_CONTROL.pattern}|{LINE_END.pattern}|\t")
QUOTED = 300
"""The most characters that an error quotes from a file."""


def read_whole(path: Path, most: int) -> bytes:
    """All bytes of a file, from one moment: what is checked afterwards is what is used. A memory map would not do: when
    another process shortens the file under it, the system ends this one.

    Args:
        most: bytes; a file that is longer is refused before it is read.

    Raises:
        TinyLMError: it is missing, too long, no plain file (a pipe or a device may never end), or changes meanwhile.
    """
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise TinyLMError("is not a plain file", where=str(path))
            if before.st_size > most:
                raise TinyLMError(f"has {before.st_size:,} bytes, and at most {most:,} would be right",
                                  where=str(path), remedy="Restore the folder from a copy")
            data = file.read(before.st_size)
            after = os.fstat(file.fileno())
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise TinyLMError("is missing" if missing else f"cannot be read ({error.strerror})", where=str(path),
                          remedy="Restore the folder from a copy") from None
    except MemoryError:
        raise TinyLMError("does not fit in the memory", where=str(path)) from None
    if (before.st_size, before.st_mtime_ns) != (len(data), after.st_mtime_ns):
        raise TinyLMError("changed while it was being read", where=str(path), remedy="Try again")
    return data


def open_nonblocking(path: str, flags: int) -> int:
    """Opening a pipe would otherwise wait for somebody to write into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_json(path: Path, most: int) -> Any:
    """Raises: TinyLMError: as `read_whole`, and when it is no JSON in UTF-8 of a reasonable depth."""
    try:
        return json.loads(read_whole(path, most).decode("utf-8"))
    except TinyLMError:
        raise
    except (ValueError, RecursionError) as error:
        raise TinyLMError(f"is not valid JSON ({quoted(error)})", where=str(path),
                          remedy="Restore the folder from a copy, or train again") from None


def quoted(text: object) -> str:
    """Foreign text for an error: short, and without characters that could drive a terminal."""
    shown = str(text)
    shown = shown if len(shown) <= QUOTED else f"{shown[:QUOTED]}…"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in shown)


def replace_control_codes(text: str) -> str:
    """Text of a model, safe to print: control codes, which could move the cursor or worse, become U+FFFD.

    What a text may rightly hold stays as it is: tabs, every kind of line end, joiners, variation selectors, soft
    hyphens, and the marks, isolates and embeddings of right-to-left writing. The two overrides of its direction go:
    they show another text than there is.
    """
    return _CONTROL.sub("\ufffd", text)


def escape_control_codes(text: object) -> str:
    """A name or a message on one line, safe to print: control codes, line ends and tabs are escapes such as \\n; bytes
    of a file's name that are no text look like \\xe9."""
    return _ON_ONE_LINE.sub(lambda found: "".join(map(_escape, found[0])), str(text))


def _escape(character: str) -> str:
    byte = ord(character) - 0xDC00  # of a name that is no text, as Python holds it
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else repr(character)[1:-1]
