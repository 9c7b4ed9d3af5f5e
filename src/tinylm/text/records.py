"""Documents that are lines: of a text, or jsonl records."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator

from tinylm.errors import TinyLMError

LONGEST = 16 << 20
"""The longest word, line or jsonl record in characters: what must fit in memory at once."""


def read_lines(chunks: Iterable[str], where: str) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end), passing over lines of nothing but white space."""
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


_SURROGATE = re.compile("[\ud800-\udfff]")


def read_records(lines: Iterable[tuple[int, str]], field: str, where: str) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        text = _record_text(line, field, f"{where}, line {number}")
        if text:
            yield number, text


def _record_text(line: str, field: str, where: str) -> str:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise TinyLMError(f"is not valid JSON: {error.msg} at character {error.pos + 1}", where=where) from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets a thousand deep
        raise TinyLMError(f"is not JSON that can be read: {error}", where=where) from None
    if not isinstance(record, dict) or field not in record:
        fields = f"its fields are: {', '.join(record)}" if isinstance(record, dict) else "it is not a JSON object"
        raise TinyLMError(f"has no field {field!r}; {fields}", where=where,
                          remedy="Name the field that holds the text: --set data.text_field=NAME")
    text = record[field]
    if not isinstance(text, str):
        raise TinyLMError(f"the field {field!r} is not a string", where=where)
    if _SURROGATE.search(text):  # JSON can write one, UTF-8 cannot
        raise TinyLMError(f"the field {field!r} has half of a surrogate pair", where=where,
                          remedy="Write the character as UTF-8, or both of its \\u halves")
    return text
