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
    widths = [max(text_width(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return ["  ".join(_padded(cell, width, i in right) for i, (cell, width) in enumerate(
        zip(row, widths, strict=True))).rstrip() for row in rows]


def fitting(names: Sequence[str], heads: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[str]:
    """Aligns a table of numbers, in blocks of columns that are no wider than the terminal.

    Args:
        names: the first cell of each row.
        heads: the first cell of each column.
        cells: (rows, columns).
        width: of the terminal, in characters.

    >>> print("\\n".join(fitting(["a"], ["one", "two"], [["1", "2"]], 9)))
       one
    a    1
       two
    a    2
    """
    used = margin = max(map(text_width, names), default=0)
    blocks: list[list[int]] = [[]]
    for column, head in enumerate(heads):
        wide = 2 + max(text_width(head), *(text_width(row[column]) for row in cells))
        if used + wide > width and blocks[-1]:
            blocks.append([])
            used = margin
        blocks[-1].append(column)
        used += wide
    return [line for block in blocks for line in columns(
        [("", *(heads[column] for column in block)),
         *((name, *(row[column] for column in block)) for name, row in zip(names, cells, strict=True))],
        right=range(1, len(block) + 1))]


def _padded(cell: str, width: int, flush: bool) -> str:
    space = " " * (width - text_width(cell))
    return space + cell if flush else cell + space


def text_width(text: str) -> int:
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
