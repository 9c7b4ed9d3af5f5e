"""How a command prints: one JSON object for programs, or plain lines for people."""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def print_json(value: Any) -> None:
    """Prints JSON: as it stands where the output is Unicode, which can write every character; else with \\u escapes."""
    from tinylm.system.standard_streams import is_encodable

    text = json.dumps(value, ensure_ascii=False)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    is_unicode = encoding.lower().replace("_", "-").startswith("utf") and is_encodable(text, encoding)
    print(text if is_unicode else json.dumps(value))


def columns(rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Rows of cells as aligned lines; the columns in `right` end flush."""
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


def print_note(text: str) -> None:
    """Something to know that is no part of the answer."""
    from tinylm.system.untrusted import escape_control_codes

    print(escape_control_codes(text), file=sys.stderr)


def print_unfinished(run: str) -> None:
    """Says of a run that has no weights yet how to go on with it, where a command can do without weights."""
    from tinylm.model_folder import unfinished_error

    if error := unfinished_error(run):
        print_note(f"note: {error}")
