"""Records as conversations: lists of messages, and questions with their answers in fields or columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tinylm.chat.conversation import Message, Role, joined_parts
from tinylm.chat.files.checks import Found, checked
from tinylm.errors import did_you_mean
from tinylm.system.untrusted import quoted
from tinylm.text.reading.fields import PAIRS, BadRecord, kind_in_words
from tinylm.text.reading.records import Record

LISTS = {"messages": "messages", "conversations": "sharegpt", "conversation": "sharegpt"}
"""Fields that hold a conversation -> the kind of file that has them."""
ROLE_NAMES: dict[str, Role] = {
    "user": "user", "human": "user", "prompter": "user", "assistant": "assistant", "gpt": "assistant",
    "chatgpt": "assistant", "model": "assistant", "bot": "assistant", "ai": "assistant", "system": "system",
    "developer": "system"}
"""What the roles are called in files, in lower case."""


_EXAMPLE = 'A message is an object: {"role": "user", "content": "How are you?"}'


class PairFields(NamedTuple):
    """The names of the fields of a question and its answer; `context` is what the question is about, or None."""

    question: str
    context: str | None
    answer: str

    @property
    def kind(self) -> str:
        """Alpaca's, if the question is an instruction."""
        return "alpaca" if self.question.strip().lower() == "instruction" else "pairs"


@lru_cache(maxsize=16)
def pair_fields(names: tuple[object, ...]) -> PairFields | None:
    """The fields of question and answer among names, in any case; None if there are none.

    >>> pair_fields(("id", "Question", "Answer"))
    PairFields(question='Question', context=None, answer='Answer')
    """
    named = {name.strip().lower(): name for name in names if isinstance(name, str)}
    for pair in PAIRS:
        if all(name in named for name in pair):
            question, *context, answer = (named[name] for name in pair)
            return PairFields(question, context[0] if context else None, answer)
    return None


def kind_of_record(record: object) -> str:
    """The kind of file that has such records; empty if none has."""
    if isinstance(record, list):
        return "messages" if _is_messages(record) else ""
    if not isinstance(record, Mapping):
        return ""
    held = next((kind for field, kind in LISTS.items() if _is_messages(record.get(field))), "")
    fields = pair_fields(tuple(record))
    return held or (fields.kind if fields else "")


def _is_messages(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping) and (
        bool({"role", "from"} & set(value[0])))


def conversations(records: Iterable[tuple[int, Record]], kind: str,
                  fields: PairFields | None = None) -> Iterator[Found]:
    """Yields the conversation of each record, or what is wrong with it.

    Args:
        kind: "messages", "sharegpt", "pairs" or "alpaca".
        fields: of question and answer; default: those of a known name.
    """
    read: Callable[[Record], Sequence[Message]] = _messages_of if kind in LISTS.values() else \
        lambda record: _pair_of(record, fields)
    for line, record in records:
        try:
            if isinstance(record, BadRecord):
                raise record
            yield line, checked(read(record))
        except BadRecord as error:
            yield line, error


# ---- lists of messages


def _messages_of(record: Record) -> list[Message]:
    if isinstance(record, Mapping):
        field = next((field for field in LISTS if field in record), None)
        if field is None:
            raise _another_kind(record, "has no field 'messages'")
        return [*_system_of(record), *_read_messages(record[field], field)]
    return _read_messages(record, "it")


def _system_of(record: Mapping[str, Any]) -> list[Message]:
    """The system text that stands beside the messages or the question; empty: there is none."""
    system = record.get("system")
    return [Message("system", system)] if isinstance(system, str) and system.strip() else []


def _read_messages(values: object, field: str) -> list[Message]:
    if not isinstance(values, list):
        raise BadRecord(f"{field!r} is not a list of messages but {kind_in_words(values)}", _EXAMPLE)
    return [_message(value, f"{field}[{number}]") for number, value in enumerate(values)]


def _message(value: object, where: str) -> Message:
    if not isinstance(value, Mapping):
        raise BadRecord(f"{where} is not a message but {kind_in_words(value)}",
                        _EXAMPLE)
    name = value.get("role", value.get("from"))
    role = ROLE_NAMES.get(name.strip().lower()) if isinstance(name, str) else None
    if role is None:
        raise BadRecord(f"{where} has no role that a chat knows: {quoted(name)!r}" if name is not None
                        else f"{where} has no role", did_you_mean(str(name), ("user", "assistant", "system")))
    return Message(role, _text(value.get("content", value.get("value")), f"the content of {where}"))


def _text(value: object, name: str) -> str:
    """A text, or the texts of a list of parts, as OpenAI's API has them."""
    text = joined_parts(value)
    if isinstance(text, str):
        return text
    raise BadRecord(f"{name} is not a text but {kind_in_words(value)}", "Write it as a text, in quotes")


# ---- questions and answers


def _pair_of(record: Record, fields: PairFields | None) -> list[Message]:
    if not isinstance(record, Mapping):
        raise BadRecord(f"is not an object with a question and an answer, but {kind_in_words(record)}",
                        'For example {"prompt": "How are you?", "completion": "Fine."}')
    fields = fields or pair_fields(tuple(record))
    if fields is None:
        raise _another_kind(record, "has no question with an answer")
    question, answer = (_field(record, name) for name in (fields.question, fields.answer))
    if isinstance(question, list) and isinstance(answer, list):  # TRL's, in which both are lists of messages
        return [*_read_messages(question, fields.question), *_read_messages(answer, fields.answer)]
    asked = _text(question, f"the field {fields.question!r}")
    context = record.get(fields.context) if fields.context else None
    if isinstance(context, str) and context.strip():
        asked = f"{asked.strip()}\n\n{context.strip()}"
    return [*_system_of(record), Message("user", asked),
            Message("assistant", _text(answer, f"the field {fields.answer!r}"))]


def _field(record: Mapping[str, Any], name: str) -> Any:
    if name not in record:
        raise _another_kind(record, f"has no field {name!r}")
    return record[name]


def _another_kind(record: Mapping[str, Any], what: str) -> BadRecord:
    kind = kind_of_record(record)
    found = f"; it is a record of another kind ({kind}), and a file has one kind" if kind else ""
    names = ", ".join(repr(quoted(name)) for name in list(record)[:12]) or "none"
    return BadRecord(f"{what}{found}; its fields are: {names}",
                     "Put records of each kind into a file of their own" if kind else "Fill it in, or take it out")
