"""JSON values in a text in memory, found one by one, each with its position or line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tinylm.text.reading.fields import BadRecord
from tinylm.text.reading.records import Record

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r\ufeff]*")


def decode(text: str, at: int) -> tuple[Any, int]:
    """The JSON value at a position, and its end.

    Raises:
        BadRecord: there is no value.
    """
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        why = error.msg.removesuffix(" starting at")
        raise BadRecord(f"is not valid JSON{': it is cut short' if cut else ''} ({why} in line {error.lineno}, "
                        f"character {error.colno})") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets a thousand deep
        raise BadRecord(f"is not JSON that can be read ({error})") from None


def skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def elements(text: str, at: int) -> Iterator[tuple[int, Record]]:
    """Yields (position, value) of each element of the array whose bracket is at `at`. A broken element comes as the
    last one, a `BadRecord`, since no element can be found after it."""
    at = skip_space(text, at + 1)
    while not text.startswith("]", at):
        try:
            value, end = decode(text, at)
            yield at, value
            at = skip_space(text, end)
            if text.startswith(",", at):
                at = skip_space(text, at + 1)
            elif not text.startswith("]", at):
                missing = "it is cut short" if at >= len(text) else "a comma is missing"
                raise BadRecord(f"is followed by no further record that can be read: {missing}")
        except BadRecord as error:
            yield at, error
            return


def fields(text: str, at: int) -> Iterator[tuple[str, int, Any]]:
    """Yields (name, position of the value, value) of each field of the object whose bracket is at `at`.

    Raises:
        BadRecord: the object is broken.
    """
    at = skip_space(text, at + 1)
    while not text.startswith("}", at):
        name, end = decode(text, at)
        at = skip_space(text, end)
        if not isinstance(name, str) or not text.startswith(":", at):
            raise BadRecord("is not valid JSON: a field has no name in double quotes")
        at = skip_space(text, at + 1)
        value, end = decode(text, at)
        yield name, at, value
        at = skip_space(text, end)
        if text.startswith(",", at):
            at = skip_space(text, at + 1)
        elif not text.startswith("}", at):
            raise BadRecord("is not valid JSON: " + ("it is cut short" if at >= len(text) else "a comma is missing"))


def several(text: str) -> Iterator[tuple[int, Record]]:
    """Yields (position, value) of values in a row, such as objects over several lines each."""
    at = skip_space(text, 0)
    while at < len(text):
        try:
            value, end = decode(text, at)
        except BadRecord as error:
            yield at, error
            return
        yield at, value
        at = skip_space(text, end)


def with_lines(text: str, values: Iterable[tuple[int, Record]]) -> Iterator[tuple[int, Record]]:
    """Yields (line, value) for (position, value), with lines from 1."""
    line, before = 1, 0
    for at, value in values:
        line += text.count("\n", before, at)
        before = at
        yield line, value
