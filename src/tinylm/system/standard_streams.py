"""Standard output that never ends a command: in any encoding, on a full disk, into a closed pipe."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console

IN_ASCII = "tinylm.to_ascii"
"""The name of the `codecs` error handler that replaces characters which an encoding lacks."""
_SAME_LENGTH = {"█▉▊▋▌▍▎▏▓▒░■": "#", "│┃║╎╏├┣┤┫╞╡╟╢": "|", "─━═╌╍–—‐‑‒―−╴╸╶╺": "-", "┌┐└┘┬┴┼╭╮╰╯╔╗╚╝╦╩╬": "+",
                "↵·•": "/.*",
                "“”„‟″": '"', "‘’‚‛′": "'", "\u00a0\u202f\u2007\u2009\u3000": " ", "✓✔": "v", "✗✘×": "x"}
_OTHER_LENGTH = {"…": "...", "→": "->", "←": "<-", "⇒": "=>", "≤": "<=", "≥": ">=", "≠": "!=", "«": "<<", "»": ">>"}
_REPLACEMENTS = _OTHER_LENGTH | {character: signs[min(index, len(signs) - 1)]
                                 for characters, signs in _SAME_LENGTH.items()
                                 for index, character in enumerate(characters)}


def to_ascii(text: str) -> str:
    """Text in ASCII: marks, bars and quotes become signs that look like them, any other character `?`.

    >>> to_ascii("“how → are”")
    '"how -> are"'
    """
    return "".join(character if character.isascii() else _REPLACEMENTS.get(character, "?") for character in text)


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return to_ascii(error.object[error.start:error.end]), error.end


codecs.register_error(IN_ASCII, _replace_unencodable)


def encodable(text: str, encoding: str | None) -> str:
    """The text as a stream of this encoding shows it: characters that the encoding lacks are replaced as by `to_ascii`.

    >>> encodable("a → b", "latin-1")
    'a -> b'
    """
    with suppress(LookupError):  # an encoding that Python does not know: the stream encodes the text as it can
        return text.encode(encoding or "utf-8", IN_ASCII).decode(encoding or "utf-8")
    return text


def is_encodable(text: str, encoding: str | None) -> bool:
    """True if a stream of this encoding shows every character of the text."""
    return encodable(text, encoding) == text


@contextmanager
def ascii_fallback() -> Iterator[None]:
    """Makes standard output and standard error replace characters that their encodings lack (`to_ascii`) within the
    block, whatever PYTHONIOENCODING or the system asked for."""
    before = [(stream, stream.errors) for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    for stream, _ in before:
        with suppress(OSError, ValueError):  # it is closed, or its disk is full
            stream.reconfigure(errors=IN_ASCII)
    try:
        yield
    finally:
        for stream, errors in before:
            with suppress(OSError, ValueError):
                stream.reconfigure(errors=errors)


class TolerantStream:
    """A text stream that never raises: it replaces what its encoding lacks, and is silent once it fails or is closed.

    Args:
        stream: the stream to write to; None if there is none, as in a program whose output is closed.
        on_failure: called once with the stream when it fails.
    """

    def __init__(self, stream: IO[str] | None, on_failure: Callable[[IO[str]], None] = lambda _: None) -> None:
        self._stream, self._on_failure = stream, on_failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._attempt(lambda stream: stream.write(encodable(text, getattr(stream, "encoding", None))))
        return len(text)

    def flush(self) -> None:
        self._attempt(lambda stream: stream.flush())

    def _attempt(self, use: Callable[[IO[str]], object]) -> None:
        if self._stream is None:
            return
        try:
            use(self._stream)
        except (OSError, ValueError):
            failed, self._stream = self._stream, None
            self._on_failure(failed)


def tolerant_console(*, stderr: bool = False, quiet: bool = False,
                    on_failure: Callable[[IO[str]], None] = lambda _: None) -> Console:
    """A rich console that interprets no markup and raises no error of output (`TolerantStream`). Styles are given by
    `style=` or `rich.text.Text`, so that no name, text or setting can become one.

    Args:
        stderr: print to standard error instead of standard output.
        quiet: print nothing.
        on_failure: called once with the stream when it fails.
    """
    from rich.console import Console

    stream = TolerantStream(sys.stderr if stderr else sys.stdout, on_failure)
    return Console(file=cast(IO[str], stream), markup=False, emoji=False, highlight=False, quiet=quiet)


def redirect_to_null(stream: IO[str]) -> None:
    """Redirects a stream, and what is still in its buffer, to the null device. Python would fail on the buffer when it
    ends."""
    with suppress(OSError, ValueError):  # the stream has no file, or is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
