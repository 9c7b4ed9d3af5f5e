"""A .json file: a chat export, an array of texts or records, an object that holds one, or records one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tinylm.text.formats import chats
from tinylm.text.formats.extracted import Extracted, File, Unreadable, way
from tinylm.text.formats.json_values import decode, elements, fields, several, skip_space, with_lines
from tinylm.text.reading.fields import BadRecord, text_of
from tinylm.text.reading.records import Record

AS_IT_STANDS = '--documents text learns the file as it stands (in Python: documents="text")'

_ASSIGNED = re.compile(r"\A\s*window\.[\w.]+\s*=(?=\s*[\[{])")
"""The beginning of the .js files in an archive of Twitter, whose rest is JSON."""


def read(file: File, field: str) -> Extracted | tuple[Iterator[tuple[int, Record]], str]:
    """The documents of a chat export; of other JSON, its records with their lines, and a note.

    Args:
        field: the field of a record that holds the text.

    Raises:
        Unreadable: the file is broken, or holds no list of texts.
    """
    text = _ASSIGNED.sub("", file.text().lstrip("\ufeff"), count=1)
    at = skip_space(text, 0)
    if text.startswith("[", at):
        return _array(text, at, file.where)
    if not text.startswith("{", at):
        raise Unreadable("is not JSON: it begins with no bracket", where=file.where,
                         remedy=f"If it is a text: {AS_IT_STANDS}")
    try:
        first, end = decode(text, at)
    except BadRecord as error:
        raise Unreadable(error.what, where=file.where, remedy=f"Mend it, or: {AS_IT_STANDS}") from None
    if skip_space(text, end) < len(text):
        return with_lines(text, several(text)), f"read as JSON records one after another, text in {field!r} (as " \
                                                "--documents jsonl does)"
    found = chats.of_object(first)
    return (found and chats.extracted(found)) or _object(text, at, first, field, file.where)


def _array(text: str, at: int, where: str) -> Extracted | tuple[Iterator[tuple[int, Record]], str]:
    _, first = next(elements(text, at), (0, None))
    if isinstance(first, BadRecord):
        raise Unreadable(first.what, where=where, remedy=f"Mend it, or: {AS_IT_STANDS}")
    if chats.begins_a_list(first):
        try:
            found = chats.extracted(chats.of_list(json.loads(text[at:])))
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"is not valid JSON ({error})", where=where, remedy="Export it anew") from None
        if found:
            return found
    if not isinstance(first, str | dict):
        raise Unreadable("is a JSON array, but not of texts or of objects with a text", where=where,
                         remedy=AS_IT_STANDS)
    return with_lines(text, elements(text, at)), "read as a JSON array, a document for each element"


def _object(text: str, at: int, value: dict[str, Any], field: str,
            where: str) -> tuple[Iterator[tuple[int, Record]], str]:
    """The records of an object: the object if it has the text, else its list of records, else its values."""
    if _has_text(value, field) and not isinstance(value.get(field), list):
        return iter([(1, value)]), f"read as one JSON record, text in {field!r}"
    lists = {name: position for name, position, inner in fields(text, at) if _may_be_texts(inner, name == field)}
    fitting = [name for name in lists if isinstance(value[name][0], str) or _has_text(value[name][0], field)]
    named = [name for name in (field, *(fitting if len(fitting) == 1 else ()), *lists) if name in lists]
    if len(lists) == 1 or (named and named[0] in fitting and (len(fitting) == 1 or named[0] == field)):
        return (with_lines(text, elements(text, lists[named[0]])),
                f"read as JSON, a document for each element of {named[0]!r}")
    if len(value) > 1 and all(isinstance(inner, dict) and _has_text(inner, field) for inner in value.values()):
        positions = ((position, inner) for _, position, inner in fields(text, at))
        return with_lines(text, positions), "read as JSON, a document for each of its objects"
    found = f"several lists in it might be the texts: {', '.join(list(lists)[:10])}" if lists else \
        "no list of texts or records was found in it"
    one = max(lists, key=lambda name: len(json.dumps(value[name][:5])), default="")  # the wordiest
    take = f"Take one out, for example: jq '.\"{one}\"' {way('{file}', where)} > list.json. Or " if lists else ""
    raise Unreadable(f"is JSON, but {found}", where=where, remedy=f"{take}{AS_IT_STANDS}")


def _may_be_texts(value: object, is_named: bool) -> bool:
    """True for a list of objects, or of strings of which half have more than one word, unlike those in settings. A list
    with the name of the text may hold any strings."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict | str):
        return False
    texts = [each for each in value[:100] if isinstance(each, str)]
    running = sum(" " in text.strip() or len(text) > 20 for text in texts)
    return isinstance(value[0], dict) or is_named or running >= 0.5 * len(texts)


def _has_text(record: object, field: str) -> bool:
    try:
        return bool(text_of(record, field))
    except BadRecord:
        return False
