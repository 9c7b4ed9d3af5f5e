"""Standard streams that end no command: in any encoding, on a full disk, into a pipe that nobody reads."""

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
"""The name of the codecs error handler for characters that an encoding lacks."""
_ONE_FOR_ONE = {"█▉▊▋▌▍▎▏▓▒░■": "#", "│┃║╎╏├┣┤┫╞╡╟╢": "|", "─━═╌╍–—‐‑‒―−╴╸╶╺": "-", "┌┐└┘┬┴┼╭╮╰╯╔╗╚╝╦╩╬": "+",
                "↵·•": "/.*",
                "“”„‟″": '"', "‘’‚‛′": "'", "\u00a0\u202f\u2007\u2009\u3000": " ", "✓✔": "v", "✗✘×": "x"}
_LONGER = {"…": "...", "→": "->", "←": "<-", "⇒": "=>", "≤": "<=", "≥": ">=", "≠": "!=", "«": "<<", "»": ">>"}
_DRAWN = _LONGER | {character: signs[min(place, len(signs) - 1)] for characters, signs in _ONE_FOR_ONE.items()
                    for place, character in enumerate(characters)}


def to_ascii(text: str) -> str:
    """Text drawn in ASCII: the marks, bars and quotes of this product by signs that look like them, the rest as `?`."""
    return "".join(character if character.isascii() else _DRAWN.get(character, "?") for character in text)


def _draw(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return to_ascii(error.object[error.start:error.end]), error.end


codecs.register_error(IN_ASCII, _draw)


def encodable(text: str, encoding: str | None) -> str:
    """The text as a stream of this encoding shows it: what the encoding lacks is drawn in ASCII."""
    with suppress(LookupError):  # a stream whose encoding is not one of Python's judges for itself
        return text.encode(encoding or "utf-8", IN_ASCII).decode(encoding or "utf-8")
    return text


def is_encodable(text: str, encoding: str | None) -> bool:
    """True if a stream of this encoding shows every character of the text."""
    return encodable(text, encoding) == text


@contextmanager
def ascii_fallback() -> Iterator[None]:
    """Within the block, standard output and standard error draw in ASCII what their encodings lack, whatever
    PYTHONIOENCODING or the system asked for."""
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
    """A stream that shows everything as well as its encoding can, and goes silent when it fails or is closed.

    Args:
        stream: None: there is none, as in a program whose output is closed.
        on_failure: called with the stream when it fails.
    """

    def __init__(self, stream: IO[str] | None, on_failure: Callable[[IO[str]], None] = lambda _: None) -> None:
        self._stream, self._on_failure = stream, on_failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(lambda stream: stream.write(encodable(text, getattr(stream, "encoding", None))))
        return len(text)

    def flush(self) -> None:
        self._try(lambda stream: stream.flush())

    def _try(self, use: Callable[[IO[str]], object]) -> None:
        if self._stream is None:
            return
        try:
            use(self._stream)
        except (OSError, ValueError):
            failed, self._stream = self._stream, None
            self._on_failure(failed)


def tolerant_console(*, stderr: bool = False, quiet: bool = False,
                    on_failure: Callable[[IO[str]], None] = lambda _: None) -> Console:
    """A console that reads no markup, and that loses no run: see `TolerantStream`. Styles are given as such, or by
    `rich.text.Text`; no name, text or setting can become one."""
    from rich.console import Console

    stream = TolerantStream(sys.stderr if stderr else sys.stdout, on_failure)
    return Console(file=cast(IO[str], stream), markup=False, emoji=False, highlight=False, quiet=quiet)


def redirect_to_null(stream: IO[str]) -> None:
    """Sends a stream nowhere from now on, with what still waits in it: else Python fails on that when it ends."""
    with suppress(OSError, ValueError):  # a stream of no file, or a closed one
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
