"""Chat files: conversations read from a file of any kind that people have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tinylm.chat.conversation import Conversation
from tinylm.chat.files import labels, messengers, records, tables
from tinylm.chat.files.checks import Found, collected
from tinylm.chat.files.json_source import EXAMPLE, is_json, read_json
from tinylm.chat.files.source import ChatSource, open_source
from tinylm.chat.sums import make_sums
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.system.untrusted import quoted
from tinylm.text.formats import whatsapp
from tinylm.text.formats.chats import Export
from tinylm.text.reading.fields import BadRecord
from tinylm.text.reading.records import Record
from tinylm.text.reading.sources import SourceLike

KINDS = ("auto", "messages", "pairs", "alpaca", "sharegpt", "table", "labels", "whatsapp", "telegram")
"""The kinds of files, as `--format` takes them."""
BUILT_IN = "sums"
"""The name of the built-in chat."""
MAX_PEEKED = 1000
"""Records that are looked at to find out what they hold, at most: the first good one tells it."""


@dataclass(frozen=True)
class ChatFile:
    """The conversations of a file.

    Attributes:
        conversations: to train on, each with an answer at its end.
        lines: the line of the file, from 1, in which each begins; 0 in a file without lines to speak of.
        kind: of the file: one of `KINDS`, the name of a program that exported it, or "sums".
        notes: sentences for people: what was recognised, and what was left out.
        validation: conversations that the file holds out itself; None: it holds out none.
        in_order: True if the conversations follow each other in time, as those of a messenger do.
    """

    conversations: list[Conversation]
    lines: list[int]
    kind: str
    notes: list[str] = field(default_factory=list)
    validation: list[Conversation] | None = None
    in_order: bool = False


class _Reading(NamedTuple):
    """A file in the middle of being read: what is found in it, and a note, to be asked after that."""

    kind: str
    found: Iterable[Found]
    note: Callable[[], str]
    has_names: bool = False


def read_chat_file(source: SourceLike, *, kind: str = "auto", me: str | None = None, text_field: str = "text",
                   skip_bad: bool = False, encoding: str = "auto") -> ChatFile:
    """Reads the conversations of a file.

    Args:
        source: a path, packed or not; `-` for standard input; a text in memory; or "sums", the built-in chat.
        kind: one of `KINDS`; default: recognised by the file's content.
        me: the name of the person in an exported chat, or in a text with names, who is the assistant.
        text_field: the fields or columns of question and answer, with a comma between; "text": those of known names.
        skip_bad: pass over bad conversations rather than refuse the file.
        encoding: of a file that is not UTF-8 and has no byte order mark.

    Raises:
        TinyLMError: there is no such file, its kind cannot be recognised, or a conversation is bad, with its line.

    >>> from tinylm.text.reading.sources import Texts
    >>> read_chat_file(Texts.of("Q: how are you ?\\nA: fine\\n")).conversations
    [[Message(role='user', content='how are you ?'), Message(role='assistant', content='fine')]]
    """
    if kind not in KINDS:
        raise TinyLMError(f"there is no kind of chat file {kind!r}", where="format", remedy=did_you_mean(kind, KINDS))
    asked = "" if text_field == "text" else text_field
    if source == BUILT_IN:
        made = _built_in()
        return replace(made, notes=[*made.notes, *_without_effect(BUILT_IN, me, asked)])
    opened = open_source(source, encoding)
    reading = _reading(opened, kind if kind != "auto" else _recognised(opened, asked), me, asked)
    conversations, lines, notes = collected(reading.found, opened.where, skip_bad=skip_bad)
    return ChatFile(conversations, lines, reading.kind,
                    [reading.note(), *_without_effect(reading.kind, None if reading.has_names else me, asked), *notes],
                    in_order=reading.has_names)


def _without_effect(kind: str, me: str | None, asked: str) -> Iterator[str]:
    """Yields notes on a name and fields that a file of a kind has no use for. They may be meant for another file: that
    to train on, where this one is to validate on or to evaluate on."""
    if me is not None:
        yield f"the name {quoted(me)!r} has no effect: a file of the kind {kind} has roles and no names"
    if asked and kind not in ("pairs", "table"):
        yield f"the fields {quoted(asked)!r} have no effect: a file of the kind {kind} has none to choose from"


def _built_in() -> ChatFile:
    made = make_sums()
    note = (f"sums, differences, products and little facts, made by tinylm; {len(made.held_out):,} questions are held "
            "out by value: no wording of such a sum is trained on")
    return ChatFile(made.training, [0] * len(made.training), BUILT_IN, [note], made.held_out)


# ---- recognition


def _recognised(source: ChatSource, asked: str) -> str:
    """The kind of a file, by its content: "json" stands for all kinds of records, which their first one tells."""
    if is_json(source):
        return "json"
    if whatsapp.is_whatsapp(source.head.lstrip("\ufeff \t\n")):
        return "whatsapp"
    if not asked and source.suffix not in tables.SUFFIXES and labels.has_labels(source):
        return "labels"
    if asked or tables.is_table(source):
        return "table"
    raise TinyLMError("no questions and answers are recognised in it", where=source.where, remedy=(
        'A chat is a text with lines "User: ..." and "Assistant: ...", a table with columns question and answer, JSON '
        'lines such as {"prompt": "...", "completion": "..."}, or an export of WhatsApp or Telegram. Of another kind '
        "that only you can tell, say it: --format KIND"))


def _reading(source: ChatSource, kind: str, me: str | None, asked: str) -> _Reading:
    if kind == "labels":
        return _labels(source, me)
    if kind == "whatsapp":
        lines = (line for _, line in source.lines())
        return _exported(Export("WhatsApp", [whatsapp.messages(lines)]), me, source)
    if kind == "table":
        rows, fields = tables.read_table(source, asked)
        note = (f"read as a table: questions in the column {quoted(fields.question)!r}, answers in "
                f"{quoted(fields.answer)!r}")
        return _Reading("table", records.conversations(rows, "pairs", fields), lambda: note)
    found = read_json(source)
    if isinstance(found, Export):
        return _exported(found, me, source)
    if kind == "telegram":
        raise TinyLMError("is no export of Telegram", where=source.where, remedy="In Telegram: Export chat history, "
                          "format JSON. Then give its result.json")
    return _records(found, kind, asked, source.where)


def _labels(source: ChatSource, me: str | None) -> _Reading:
    found = labels.survey(source, me)
    if me is None:
        note = f"read as labelled lines: {found.note()}"
        return _Reading("labels", labels.conversations(source, found), lambda: note)
    export = Export("text", labels.messages(source, found))
    sides = messengers.Sides(export, me, source)
    return _Reading("labels", sides.conversations(), lambda: f"read as labelled lines: {sides.note()}", True)


def _exported(export: Export, me: str | None, source: ChatSource) -> _Reading:
    sides = messengers.Sides(export, me, source)
    return _Reading(export.program.lower(), sides.conversations(),
                    lambda: f"read as an export of {export.program}: {sides.note()}", True)


def _records(found: Iterable[tuple[int, Record]], kind: str, asked: str, where: str) -> _Reading:
    """Reads records, whose kind the first good one tells."""
    iterator = iter(found)
    peeked = []
    seen = ""
    for line, record in iterator:
        peeked.append((line, record))
        seen = records.kind_of_record(record)
        if seen or len(peeked) == MAX_PEEKED:
            break
    fields = tables.asked_fields(asked, (), where) if asked else None
    kind = "pairs" if fields else seen if kind == "json" else kind
    if not kind:
        raise _no_kind(peeked, where)
    named = fields or next(filter(None, (records.pair_fields(tuple(record)) for _, record in peeked[-1:]
                                         if isinstance(record, dict))), None)
    note = f"read as {kind}, a conversation in each record"
    if kind in ("pairs", "alpaca") and named:
        note += f": question in {quoted(named.question)!r}, answer in {quoted(named.answer)!r}"
    return _Reading(kind, records.conversations([*peeked, *iterator], kind, fields), lambda: note)


def _no_kind(peeked: list[tuple[int, Record]], where: str) -> TinyLMError:
    if not peeked:
        return TinyLMError("holds no record", where=where, remedy=EXAMPLE)
    line, record = peeked[0]
    if isinstance(record, BadRecord):
        return TinyLMError(record.what, where=f"{where}, line {line}", remedy=record.remedy or "Mend it")
    names = ", ".join(repr(quoted(name)) for name in list(record)[:12]) if isinstance(record, dict) else "none"
    return TinyLMError(f"its records have no question with an answer; their fields are: {names or 'none'}",
                       where=f"{where}, line {line}", remedy=f"{EXAMPLE}. Or say which fields these are: --text-field "
                       "QUESTION,ANSWER")
