"""Files from untrusted sources: read whole or refused; and foreign text, made safe to print."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tinylm.errors import TinyLMError

_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202d\u202e\ud800-\udfff]")
LINE_END = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
"""Every kind of line end that a text may hold."""
_ON_ONE_LINE = re.compile(f"{_CONTROL.pattern}|{LINE_END.pattern}|\t")
MAX_QUOTED = 300
"""Characters that an error quotes from a file, at most."""


@contextmanager
def open_unchanged(path: Path, most: int) -> Iterator[tuple[BinaryIO, int]]:
    """Opens a file for the block, which reads each byte once: what is checked is what is used. A memory map is not
    enough: if another process shortens a mapped file, the system ends this process.

    Args:
        path: a plain file.
        most: the largest number of bytes; a longer file is refused before it is read.

    Yields:
        the open file, and the number of its bytes. `read_exactly` reads from it.

    Raises:
        TinyLMError: the file is missing, too long, not a plain file (a pipe or a device may never end), cannot be read,
            or changes while it is read.
    """
    try:
        with open(path, "rb", opener=open_nonblocking) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise TinyLMError("is not a plain file", where=str(path))
            if before.st_size > most:
                raise TinyLMError(f"has {before.st_size:,} bytes, and at most {most:,} would be right",
                                  where=str(path), remedy="Restore the folder from a copy")
            yield file, before.st_size
            after = os.fstat(file.fileno())
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise TinyLMError("is missing" if missing else f"cannot be read ({error.strerror})", where=str(path),
                          remedy="Restore the folder from a copy") from None
    except EOFError:
        raise _changed_error(path) from None
    except MemoryError:
        raise TinyLMError("does not fit in the memory", where=str(path)) from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _changed_error(path)


def _changed_error(path: Path) -> TinyLMError:
    return TinyLMError("changed while it was being read", where=str(path), remedy="Try again")


def read_exactly(file: BinaryIO, n_bytes: int) -> bytes:
    """Reads the next bytes of a file. Raises: EOFError: it ends before them.

    >>> import io
    >>> read_exactly(io.BytesIO(b"abc"), 2)
    b'ab'
    """
    data = file.read(n_bytes)
    if len(data) != n_bytes:
        raise EOFError
    return data


def read_whole(path: Path, most: int) -> bytes:
    """Reads all bytes of a file at one moment. Arguments and errors: as `open_unchanged`."""
    with open_unchanged(path, most) as (file, size):
        return read_exactly(file, size)


def open_nonblocking(path: str, flags: int) -> int:
    """Opens a file for `open(..., opener=...)` without blocking: opening a pipe would wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_json(path: Path, most: int) -> Any:
    """Reads a JSON file of at most `most` bytes.

    Raises:
        TinyLMError: as `read_whole`; the file is not JSON in UTF-8, or is nested too deeply.
    """
    try:
        return json.loads(read_whole(path, most).decode("utf-8"))
    except TinyLMError:
        raise
    except (ValueError, RecursionError) as error:
        raise TinyLMError(f"is not valid JSON ({quoted(error)})", where=str(path),
                          remedy="Restore the folder from a copy, or train again") from None


def quoted(text: object) -> str:
    """Quotes foreign text for an error: at most `MAX_QUOTED` characters, with escapes for what is not printable.

    >>> quoted("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    whole = str(text)
    short = whole if len(whole) <= MAX_QUOTED else f"{whole[:MAX_QUOTED]}…"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in short)


def replace_control_codes(text: str) -> str:
    """Makes a model's text safe to print: control codes, which could move the cursor or worse, become U+FFFD.

    Tabs, every kind of line end, joiners, variation selectors, soft hyphens, and the marks, isolates and embeddings of
    right-to-left writing stay, since a text may rightly hold them. The two direction overrides are replaced, since a
    text with them looks like another text.

    >>> replace_control_codes("a\\x1b[2Jb\\tc")
    'a\ufffd[2Jb\\tc'
    """
    return _CONTROL.sub("\ufffd", text)


def escape_control_codes(text: object) -> str:
    """Makes a name or a message one line that is safe to print: control codes, line ends and tabs become escapes such
    as \\n; bytes of a file's name that are not text look like \\xe9.

    >>> escape_control_codes("two\\nlines")
    'two\\\\nlines'
    """
    return _ON_ONE_LINE.sub(lambda found: "".join(map(_escape, found[0])), str(text))


def _escape(character: str) -> str:
    byte = ord(character) - 0xDC00  # a surrogate escape: a byte of a name that is not text
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else repr(character)[1:-1]
