"""Tables (CSV, TSV and their kin): rows as records, and the column that holds the text."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tinylm.system.untrusted import quoted
from tinylm.text.formats.extracted import Unreadable
from tinylm.text.reading.fields import BadRecord, option
from tinylm.text.reading.records import LONGEST, Record

DELIMITERS = ",;\t|"
HEAD = 1 << 16
"""Characters by which a table's form and its column of text are recognised."""
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_HEADING = re.compile(r"[^\W\d][^\n]{0,59}|#|")
_NUMBER = re.compile(r"[\s$€£]*[-+]?[\d.,:/\-T\s%]*\d[\d.,:/\-TZ\s%eE+]*[\s$€£]*")

_SEPARATOR = re.compile(r"\A\"?sep=.\"?\r?\n")
"""The first line of tables for Excel, which names the delimiter."""
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u9fff]")
"""Letters of scripts that put no spaces between words."""


@dataclass(frozen=True)
class Table:
    """The form of a table. `columns` are its headings, or numbers from 1 where it has none."""

    delimiter: str
    quoting: Literal[0, 3]
    columns: tuple[str, ...]
    has_header: bool
    sample: tuple[tuple[str, ...], ...]
    """Rows from its head, without the header."""


# ---- the form


def form_of(head: str, is_whole: bool = False, even: float = 0.5) -> Table | None:
    """The form of a table; None if no delimiter divides it into rows.

    Args:
        head: the first characters of the table.
        is_whole: False if the table goes on, so that the last row of `head` may be cut.
        even: the share of rows that must have as many cells as the first.
    """
    if not is_whole and "\n" in head:
        head = head[:head.rindex("\n") + 1]
    forms = [(delimiter, quoting, rows) for delimiter in DELIMITERS for quoting in _quotings(delimiter)
             if (rows := _rows(head, delimiter, quoting)) and _is_even(rows, even)]
    if forms:
        delimiter, quoting, rows = max(forms, key=lambda form: (
            _is_even(form[2], 0.95), sum(len(row) == len(form[2][0]) for row in form[2]), form[1] == csv.QUOTE_MINIMAL,
            len(form[2][0])))
    else:
        rows = _rows(head, "\x1f", csv.QUOTE_MINIMAL)
        delimiter, quoting = "\x1f", csv.QUOTE_MINIMAL
        if not rows or any(separator in rows[0][0] for separator in DELIMITERS):
            return None
    has_header = _is_header(rows, is_whole)
    columns = tuple(name.strip() for name in rows[0]) if has_header else tuple(map(str, range(1, len(rows[0]) + 1)))
    return Table(delimiter, quoting, columns, has_header, tuple(map(tuple, rows[has_header:])))


def _quotings(delimiter: str) -> tuple[Literal[0, 3], ...]:
    """The ways of quoting to try: in tables with tabs, quotes often have no meaning."""
    return (csv.QUOTE_MINIMAL, csv.QUOTE_NONE) if delimiter == "\t" else (csv.QUOTE_MINIMAL,)


def _rows(head: str, delimiter: str, quoting: Literal[0, 3]) -> list[list[str]]:
    """The rows of a head that are neither empty nor broken, as its end may be."""
    rows: list[list[str]] = []
    reader = csv.reader(_lines([head]), delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            continue
        if row is None:
            return rows
        if any(cell.strip() for cell in row):
            rows.append(row)


def _is_even(rows: list[list[str]], share: float) -> bool:
    """True if a share of rows have as many cells as the first, which has at least two."""
    width = len(rows[0])
    return width > 1 and sum(len(row) == width for row in rows) >= share * len(rows)


def _is_header(rows: list[list[str]], is_whole: bool) -> bool:
    """True for short, distinct headings above another row, which may be too long for `head`."""
    first = [name.strip() for name in rows[0]]
    named = [name for name in first if name]
    if len(rows) < 1 + is_whole or not named or len(set(named)) < len(named) or not all(map(_HEADING.fullmatch, first)):
        return False
    return not any(len(name.split()) > 6 or name.endswith((".", "!", "?")) for name in named)


def is_table(head: str, is_whole: bool = False, headed: bool = True) -> bool:
    """True for a text that is evidently a table: five rows or more, all as long as a header of simple names, a column
    of running text or of numbers, and no space after commas, as prose has.

    Args:
        headed: False accepts even rows with tabs as well, which need no header.
    """
    if head.count("\n") < 5:
        return False
    form = form_of(head, is_whole, 0.95)
    if form is None or len(form.columns) < 2 or len(form.sample) < 4:
        return False
    if not form.has_header:
        return form.delimiter == "\t" and not headed
    spaced = head.count(form.delimiter + " ") > 0.5 * head.count(form.delimiter)
    told_apart = any(_is_text(form, column) or (_is_numbers(form, column) and _cells(form, column))
                     for column in range(len(form.columns)))
    return not spaced and told_apart and all(re.fullmatch(r"[\w .#()/%-]{1,40}", name) for name in form.columns)


# ---- the text


def column_of_text(table: Table, field: str, where: str) -> str:
    """The column of the text, or several with commas between.

    Args:
        field: the field that a person gave. `text`, if no column has that name, is the one column that is plainly text.

    Raises:
        Unreadable: there is no such column, or none or several that are plainly text.
    """
    named = {name.lower(): name for name in table.columns}
    asked = [field] if field in table.columns or "," not in field else [part.strip() for part in field.split(",")]
    if all(name in table.columns for name in asked):
        return field
    if all(name.lower() in named for name in asked):
        return ",".join(named[name.lower()] for name in asked)
    numbers = {str(number): name for number, name in enumerate(table.columns, start=1)}
    if all(name in numbers for name in asked):
        return ",".join(numbers[name] for name in asked)
    if field != "text":
        raise _no_column(f"has no column {field!r}", table, where)
    texts = [name for column, name in enumerate(table.columns) if _is_text(table, column)]
    if len(texts) == 1 or (not texts and len(table.columns) == 1 and not _is_numbers(table, 0)):
        return (texts or list(table.columns))[0]
    if not texts and all(_is_numbers(table, column) for column in range(len(table.columns))):
        raise Unreadable(f"is a table of numbers: none of its columns holds text (they are: {listed(table)})",
                         where=where, remedy="--documents text learns the file as it stands")
    what = f"is a table with several columns of text ({', '.join(map(quoted, texts))})" if texts else \
        "is a table in which no column is plainly the text"
    raise _no_column(what, table, where, texts)


def _cells(table: Table, column: int) -> list[str]:
    return [cell for row in table.sample if column < len(row) and (cell := row[column].strip())]


def _is_numbers(table: Table, column: int) -> bool:
    """True if four of five cells are numbers, dates or times."""
    cells = _cells(table, column)
    return sum(len(cell) < 60 and _NUMBER.fullmatch(cell) is not None for cell in cells) >= 0.8 * len(cells)


def _is_text(table: Table, column: int) -> bool:
    """True if half of the cells are running text, with few that are the same: three words or more, or six letters of a
    script without spaces."""
    cells = _cells(table, column)
    running = sum(len(cell.split()) >= 3 or len(_UNSPACED.findall(cell)) >= 6 for cell in cells)
    return bool(cells) and running >= 0.5 * len(cells) and len(set(cells)) > 0.3 * min(len(cells), 30) \
        and not _is_numbers(table, column)


def listed(table: Table, most: int = 20) -> str:
    """The columns of a table, as an error lists them."""
    return ", ".join(map(quoted, table.columns[:most])) + ", .." * (len(table.columns) > most)


def _no_column(what: str, table: Table, where: str, texts: Iterable[str] = ()) -> Unreadable:
    longest = max(range(len(table.columns)), key=lambda column: sum(map(len, _cells(table, column))))
    best = ",".join(texts) or table.columns[longest]
    return Unreadable(f"{what}; its columns are: {listed(table)}", where=where, remedy=(
        f"Name one, or several with commas: {option(best)}. --documents text learns the file as it stands"))


# ---- the rows


def read(chunks: Iterable[str], field: str, where: str) -> tuple[Iterator[tuple[int, Record]], str, str]:
    """The rows of a table as records by column, each with the line in which it begins; the field of the text; a note.

    Raises:
        Unreadable: the text is not a table, or its column of text cannot be recognised.
    """
    table, records = open_table(chunks, where)
    column = column_of_text(table, field, where)
    headings = "" if table.has_header else ", numbered for want of a header"
    note = (f"read as a table: a document for each row, text in the column {quoted(column)!r} of "
            f"{listed(table, 8)}{headings} (another: --text-field NAME)")
    return records, column, note


def open_table(chunks: Iterable[str], where: str) -> tuple[Table, Iterator[tuple[int, Record]]]:
    """The form of a table, and its rows as records by column, each with the line in which it begins.

    Raises:
        Unreadable: the text is not a table.
    """
    chunks = iter(chunks)
    head, is_whole = "", False
    while len(head) < HEAD and not is_whole:
        more = next(chunks, "")
        head, is_whole = head + more, not more
    head = _SEPARATOR.sub("\n", head.lstrip("\ufeff"), count=1)
    table = form_of(head[:HEAD], is_whole and len(head) <= HEAD)
    if table is None:
        raise Unreadable("is named like a table, but no comma, semicolon, tab or bar makes even rows of it",
                         where=where, remedy="--documents text learns the file as it stands")
    return table, _records(itertools.chain([head], chunks), table)


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    """Yields lines with their ends. (Only `\\n` ends a line: fields may hold other separators.)"""
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        for line in lines:
            yield line + "\n"
        if len(rest) > LONGEST:
            yield rest  # the csv module then says that the field is too long
            rest = ""
    if rest:
        yield rest


def _records(chunks: Iterable[str], table: Table) -> Iterator[tuple[int, Record]]:
    csv.field_size_limit(max(LONGEST, csv.field_size_limit()))
    reader = csv.reader(_lines(chunks), delimiter=table.delimiter, quoting=table.quoting, strict=True)
    skip, line = table.has_header, 1
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield line, _broken(error)
            continue
        if row is None:
            return
        if skip or not any(row):
            skip &= not any(row)
            continue
        if len(row) > len(table.columns) and any(row[len(table.columns):]):
            yield line, BadRecord(f"has {len(row)} cells, where the table has {len(table.columns)} columns",
                                  f'A cell with a {_NAMES.get(table.delimiter, "delimiter")} in it belongs in double '
                                  'quotes')
            continue
        yield line, dict(zip(table.columns, row, strict=False))


def _broken(error: csv.Error) -> BadRecord:
    said = str(error)
    if "unexpected end of data" in said:
        return BadRecord("begins a quote that never ends",
                         'Close it; a quote inside a quoted cell is written twice: ""')
    if "expected after" in said:
        return BadRecord(f"has a quote in the middle of a quoted cell ({said})",
                         'A quote inside a quoted cell is written twice: ""')
    return BadRecord(f"is not a row that can be read ({said})")
