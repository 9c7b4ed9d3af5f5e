"""JSON of chats: lines, an array, one object, or the export of another program."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tinylm.chat.files.records import kind_of_record
from tinylm.chat.files.source import ChatSource
from tinylm.errors import TinyLMError
from tinylm.system.untrusted import quoted
from tinylm.text.formats import chats
from tinylm.text.formats.json_values import decode, elements, fields, several, skip_space, with_lines
from tinylm.text.formats.recognise import is_json_lines
from tinylm.text.reading.fields import BadRecord
from tinylm.text.reading.records import Record, read_json_lines, read_lines

Records = Iterator[tuple[int, Record]]

_BEGINNING = re.compile(r"[\s\ufeff]*(?:\{|\[\s*(?:[\[{\"\]]|\Z))")
"""Of JSON. (A line of WhatsApp may begin with a bracket, too, but a date follows it.)"""
EXAMPLE = 'For example {"prompt": "How are you?", "completion": "Fine."}, or {"messages": [..]} with roles and contents'


def is_json(source: ChatSource) -> bool:
    return source.suffix in (".json", ".jsonl", ".ndjson") or _BEGINNING.match(source.head) is not None


def read_json(source: ChatSource) -> Records | chats.Export:
    """The records of a file, each with its line; or what another program exported.

    Raises:
        TinyLMError: the file is broken, too large to be read whole, or holds no list of conversations.
    """
    if _is_lines(source):
        return read_json_lines(read_lines(source.chunks(), source.where))
    text = source.whole()
    at = skip_space(text, 0)
    try:
        if text.startswith("[", at):
            return _array(text, at)
        first, end = decode(text, at)
        if skip_space(text, end) < len(text):
            return with_lines(text, several(text))
        return _object(text, at, first)
    except BadRecord as error:
        raise TinyLMError(error.what, where=source.where, remedy=error.remedy or "Mend it, or export it anew") from None


def _is_lines(source: ChatSource) -> bool:
    """True if every line is a record of its own."""
    head = source.head.lstrip("\ufeff \t\n")
    first, _, others = head.partition("\n")
    named = source.suffix in (".jsonl", ".ndjson")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return named or is_json_lines(head)
    if isinstance(value, dict):
        return named or others.lstrip().startswith("{")
    return kind_of_record(value) == "messages" and others.lstrip().startswith("[")


def _array(text: str, at: int) -> Records | chats.Export:
    _, first = next(elements(text, at), (0, None))
    if isinstance(first, BadRecord):
        raise first
    if chats.begins_a_list(first):
        return chats.of_list(_whole(text))
    if kind_of_record([first]) == "messages":  # the messages of a single conversation
        return iter([(1, _whole(text))])
    return with_lines(text, elements(text, at))


def _whole(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"is not valid JSON ({error})") from None


def _object(text: str, at: int, value: object) -> Records | chats.Export:
    if not isinstance(value, Mapping):
        raise BadRecord("is JSON, but no list of conversations", EXAMPLE)
    found = chats.of_object(dict(value))
    if found:
        return found
    if kind_of_record(value):
        return iter([(1, value)])
    lists = [position for _, position, inner in fields(text, at)
             if isinstance(inner, list) and inner and kind_of_record(inner[0])]
    if not lists:
        names = ", ".join(repr(quoted(name)) for name in list(value)[:12]) or "none"
        raise BadRecord(f"is JSON, but no list of conversations is in it; its fields are: {names}", EXAMPLE)
    return with_lines(text, elements(text, lists[0]))
