"""Texts that a person gives to a command: as a word, from standard input, or from a file."""

from __future__ import annotations

import argparse
import codecs
import os
import sys
from contextlib import suppress

from tinylm.errors import TinyLMError

MAX_BYTES = 1 << 24
"""The longest text that is taken from standard input or a file."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
          (codecs.BOM_UTF16_BE, "utf-16"))


def add_text(parser: argparse.ArgumentParser, name: str, default: str | None = None, about: str = "a text") -> None:
    """The arguments NAME and --file FILE, one of which is the text.

    Args:
        default: the text where neither is given; None: one of them is needed.
    """
    parser.add_argument(name, metavar=name.upper(), nargs="?", help=(
        f"{about}; - reads it from standard input, less one line end at its end; one with a dash in front: after --"))
    parser.add_argument("--file", metavar="FILE", help=f"the {name.upper()} is in this file (UTF-8), less one line end")
    parser.set_defaults(text_name=name, text_default=default)


def text_of(arguments: argparse.Namespace) -> str:
    """The text that was given.

    Raises:
        TinyLMError: none, or two; or one that cannot be read, is too long, or is not text.
    """
    name: str = arguments.text_name
    given: str | None = getattr(arguments, name)
    if arguments.file is not None:
        if given is not None:
            raise TinyLMError(f"a {name.upper()} and a --file are given, and they are two texts",
                              remedy="Leave one of them out")
        if arguments.file != "-":
            return _without_line_end(_from_file(arguments.file), arguments.file)
        given = "-"
    if given == "-":
        return _without_line_end(_from_standard_input(), "standard input")
    if given is None:
        if arguments.text_default is None:
            raise TinyLMError("which text?", where=name.upper(),
                              remedy="Write it in quotes; or give - for standard input, or --file FILE")
        return str(arguments.text_default)
    return typed(given)


def typed(word: str) -> str:
    """A word of the command line as text. Where the system's encoding is not the terminal's, Python holds bytes that it
    could not read; most are UTF-8."""
    try:
        return os.fsencode(word).decode("utf-8") if any("\udc80" <= each <= "\udcff" for each in word) else word
    except UnicodeError:
        raise TinyLMError("the text on the command line is not UTF-8", remedy="Give it with --file FILE, in UTF-8"
                          ) from None


def read_line(prompt: str) -> str:
    """A line that a person types, or the next of standard input, without its end.

    Raises:
        EOFError: there is none.
        TinyLMError: it is no text in any encoding that this system uses.
    """
    encoding = getattr(sys.stdin, "encoding", None) or "utf-8"
    buffer = getattr(sys.stdin, "buffer", None)
    if buffer is not None and not sys.stdin.isatty():
        line: bytes = buffer.readline()
        if not line:
            raise EOFError
        return as_text(line.removesuffix(b"\n").removesuffix(b"\r"), "standard input", encoding)
    with suppress(AttributeError, ValueError, OSError):
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    line_of_text = input(prompt)
    if line_of_text.isascii():
        return line_of_text
    return as_text(line_of_text.encode(encoding, "surrogateescape"), "the line", encoding)


def as_text(data: bytes, where: str, encoding: str = "utf-8") -> str:
    """Bytes as text: by their mark if they begin with one, else UTF-8, else `encoding`; CRLF becomes \\n.

    Raises:
        TinyLMError: they are none of these.
    """
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    known = (marked,) if marked else tuple(dict.fromkeys(("utf-8", encoding)))
    for name in known:
        try:
            return data.decode(name).replace("\r\n", "\n")
        except (UnicodeDecodeError, LookupError) as error:
            place = getattr(error, "start", 0)
    raise TinyLMError(f"is not text in {' or '.join(map(str.upper, known))}: byte {place + 1} is 0x{data[place]:02X}",
                      where=where, remedy="Open it in an editor, and save it as UTF-8")


def _from_standard_input() -> str:
    buffer = getattr(sys.stdin, "buffer", None)
    if buffer is None:
        return sys.stdin.read(MAX_BYTES)
    return as_text(_checked(buffer.read(MAX_BYTES + 1), "standard input"), "standard input",
                   getattr(sys.stdin, "encoding", None) or "utf-8")


def _from_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise TinyLMError(f"cannot be read ({getattr(error, 'strerror', None) or error})", where=path,
                          remedy="Give --file a file of text") from None
    return as_text(_checked(data, path), path)


def _checked(data: bytes, where: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise TinyLMError(f"holds more than {MAX_BYTES >> 20} MB, too long for this", where=where,
                          remedy="Give its end: a model sees no more than its context at once")
    return data


def _without_line_end(text: str, where: str) -> str:
    if not text:
        from tinylm.cli.output import print_note

        print_note(f"note: {where} is empty, and so is the text")
    return text.removesuffix("\n")
