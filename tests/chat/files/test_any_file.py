"""Conversations come back as they were written, and damage gives an error that a person can mend."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chat.files.test_kinds import PAIRS
from tinylm.chat.conversation import Conversation, Message
from tinylm.chat.files import ChatFile, describe, read_chat_file
from tinylm.errors import TinyLMError
from tinylm.text.reading.sources import Texts

said = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=12).filter(
    lambda text: text == text.strip() and bool(text))


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A system message or none, and questions with their answers."""
    system = [Message("system", draw(said))] if draw(st.booleans()) else []
    texts = draw(st.lists(st.tuples(said, said), min_size=1, max_size=3))
    return [*system, *(message for question, answer in texts
                       for message in (Message("user", question), Message("assistant", answer)))]


@given(st.lists(conversations(), min_size=1, max_size=4), st.booleans())
def test_messages_come_back_as_they_were_written(written: list[Conversation], is_array: bool) -> None:
    records = [{"messages": [message._asdict() for message in each]} for each in written]
    text = json.dumps(records, indent=1) if is_array else "".join(json.dumps(each) + "\n" for each in records)
    assert read_chat_file(Texts.of(text)).conversations == written


@given(st.lists(st.tuples(said, said), min_size=1, max_size=4))
def test_a_table_comes_back_as_it_was_written(written: list[tuple[str, str]]) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([("question", "answer"), *written])
    found = read_chat_file(Texts.of(file.getvalue()), kind="table").conversations
    assert [tuple(message.content for message in each) for each in found] == written


@pytest.mark.parametrize("kind", PAIRS)
@given(data=st.data())
def test_damage_is_an_error_that_a_person_can_mend(kind: str, data: st.DataObject) -> None:
    text = PAIRS[kind][1]
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start, min(len(text), start + 9)))
    put_in = data.draw(st.sampled_from(["", "\n", "\n\n", "{", "]", '"', ":", "User: ", ",", "\\ud800", "null", "A:"]))
    damaged = text[:start] + put_in + text[stop:]
    found = _read(damaged, skip_bad=data.draw(st.booleans()))
    if isinstance(found, TinyLMError):
        assert found.remedy
        return
    assert describe(found)
    for each in found.conversations:
        assert each[-1].role == "assistant"
        assert all(message.content.strip() for message in each)


def _read(text: str, *, skip_bad: bool) -> ChatFile | TinyLMError:
    try:
        return read_chat_file(Texts.of(text), skip_bad=skip_bad)
    except TinyLMError as error:
        return error
