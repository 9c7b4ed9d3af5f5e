"""Tables in a terminal: rows of cells as aligned lines of text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Aligns cells.

    Args:
        rows: rows with equally many cells.
        right: the indices of the columns that are aligned on the right.

    >>> print("\\n".join(columns([("id", "token"), ("7", "how")], right=[0])))
    id  token
     7  how
    """
    rows = [list(row) for row in rows]
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return ["  ".join(_padded(cell, width, i in right) for i, (cell, width) in enumerate(
        zip(row, widths, strict=True))).rstrip() for row in rows]


def _padded(cell: str, width: int, flush: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if flush else cell + space


def _width(text: str) -> int:
    """The columns of a terminal that a text takes: two for an ideograph, none for a mark on another character."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf")
               else 2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def cell(token: str) -> str:
    """A token for a table: in quotes and with escapes where white space or an invisible character is part of it; a
    mark that belongs on another character stands on a dotted circle."""
    if token != token.strip() or not token.isprintable() or not token:
        return repr(token)
    return f"\u25cc{token}" if unicodedata.category(token[0]).startswith("M") else token
