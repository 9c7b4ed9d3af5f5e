"""Records as documents: lines of JSON, elements of a JSON array, rows of a table; and errors for bad records."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator

from tinylm.errors import TinyLMError
from tinylm.text.formats.extracted import way
from tinylm.text.reading.fields import BadRecord, text_of

LONGEST = 16 << 20
"""Characters of a word, line or jsonl record, at most: it must fit in memory."""


def read_lines(chunks: Iterable[str], where: str) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, line without its end), but no lines of nothing but white space."""
    rest, number = "", 0
    for chunk in itertools.chain(chunks, ["\n"]):
        *lines, rest = (rest + chunk).split("\n")
        for line in lines:
            number += 1
            if line and not line.isspace():
                yield number, line.removesuffix("\r")
        if len(rest) > LONGEST:
            raise TinyLMError(f"a line of over {LONGEST >> 20} million characters",
                              where=f"{where}, line {number + 1}",
                              remedy="If a line is not a document of its own: --documents text")


Record = object
"""A parsed record, or the `BadRecord` that says why there is none."""

_DEEP = "brackets in brackets without end"


def read_json_lines(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Record]]:
    """Yields the record of each line. Byte order marks, which remain where files were joined, are passed over."""
    for number, line in lines:
        line = line.strip("\ufeff \t\r")
        if line:
            yield number, _parsed(line)


def _parsed(line: str) -> Record:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        return _broken(line, error)
    except RecursionError:
        return BadRecord(f"is not JSON that can be read: {_DEEP}")
    except ValueError as error:  # a number of 5,000 digits
        return BadRecord(f"is not JSON that can be read: {error}")


def _broken(line: str, error: json.JSONDecodeError) -> BadRecord:
    at = f"is not valid JSON: {error.msg} at character {error.pos + 1}"
    if line in ("[", "{") or line.startswith("[{") or line.startswith('["'):
        return BadRecord(f"{at}; it begins JSON that goes on over several lines",
                         'Read the whole file as JSON: --documents json (in Python: documents="json")')
    if error.msg == "Extra data" and line[error.pos:].startswith(("{", "[", '"')):
        return BadRecord(f"is not valid JSON: more than one record is in it, the second at character {error.pos + 1}",
                         'Read the file as JSON, record by record: --documents json (in Python: documents="json")')
    if line.endswith(",") and _is_json(line[:-1]):
        return BadRecord("is not valid JSON: it is a record with a comma after it, as in a JSON array",
                         "Take the commas away, for example: sed 's/,$//' {file} > {base}-mended.jsonl", fits_all=True)
    if error.pos >= len(line) or error.msg.startswith("Unterminated string"):
        why = error.msg.removesuffix(" starting at")
        return BadRecord(f"is not valid JSON: it is cut short ({why} at character {error.pos + 1})")
    if re.search(r",\s*[}\]]", line[:error.pos + 1]):
        return BadRecord(f"{at}; no comma may stand before a closing bracket")
    if line.startswith("{'"):
        return BadRecord(f"{at}; JSON has double quotes, and this is a dictionary as Python prints it",
                         "Write it with json.dumps(record)", fits_all=True)
    return BadRecord(at)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _any_good(records: Iterator[tuple[int, Record]], field: str) -> bool:
    """True if one of the next thousand records has a text, so that passing over the others leaves something."""
    for _, record in itertools.islice(records, 1000):
        try:
            if text_of(record, field):
                return True
        except BadRecord:
            continue
    return False


SKIP_BAD = "--skip-bad passes over such records and counts them (in Python: skip_bad=True)"


def read_texts(records: Iterable[tuple[int, Record]], field: str, where: str, *, skip_bad: bool = False,
               by_line: bool = True, note: Callable[[str], None] = lambda _: None) -> Iterator[tuple[int, str]]:
    """Yields (line number, text) of each record with a text; an empty text is passed over.

    Args:
        field: the field of the text, as `fields.text_of` takes it.
        skip_bad: pass over bad records rather than stop at the first.
        by_line: True if the line identifies a record; otherwise an error gives the number of the record as well.
        note: called at the end with the number of records passed over, and the position of the first.

    Raises:
        TinyLMError: a bad record, or under `skip_bad` nothing but bad records.
    """
    good = bad = empty = 0
    first: TinyLMError | None = None
    at = ""
    records = iter(records)
    for count, (number, record) in enumerate(records, start=1):
        try:
            text = text_of(record, field)
        except BadRecord as error:
            alone = not skip_bad and good + empty == 0 and error.remedy and not _any_good(records, field)
            remedy = error.remedy if alone or error.fits_all else ". ".join(filter(None, (error.remedy, SKIP_BAD)))
            if not first:
                at = f"line {number}" if by_line else f"line {number}, record {count}"
                first = TinyLMError(error.what, where=f"{where}, {at}", remedy=way(remedy, where))
            if not skip_bad:
                raise first from None
            bad += 1
            continue
        good, empty = good + bool(text), empty + (not text)
        if text:
            yield number, text
    all_of_them = f"{good + empty + bad:,} records"
    if first and not good:
        raise TinyLMError(f"all of its {bad:,} records are bad; the first: {first.what}", where=first.where,
                          remedy=first.remedy.removesuffix(SKIP_BAD).rstrip(". "))
    if first:
        note(f"{bad:,} bad of {all_of_them} skipped; the first, in {at}: {first.what}")
    if empty:
        note(f"{empty:,} of {all_of_them} without text passed over")
