"""Broken chat files are refused with the line, the reason and a remedy; and passed over if that is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chat.files.conftest import Read, Refused, texts
from tinylm.chat.files import read_chat_file
from tinylm.errors import TinyLMError

GOOD = {"prompt": "Who?", "completion": "Ada."}


def _turns(*roles: str) -> str:
    return json.dumps({"messages": [{"role": role, "content": "x"} for role in roles]})


BROKEN: dict[str, tuple[str, str, str]] = {
    # what is wrong: (name, content, what the error says)
    "an unknown role": ("a.jsonl", f"{_turns('user', 'assistant')}\n{_turns('user', 'asistant')}",
                        ", line 2: messages[1] has no role that a chat knows: 'asistant'. Did you mean 'assistant'?"),
    "two questions in a row": ("a.jsonl", f"{_turns('user', 'user', 'assistant')}\n{_turns('user', 'assistant')}",
                               ", line 1: messages[1]: here is a message of the user, where one of the assistant"),
    "an answer first": ("a.jsonl", f"{_turns('user', 'assistant')}\n{_turns('assistant', 'user')}",
                        ", line 2: messages[0]: here is a message of the assistant"),
    "no answer": ("a.jsonl", f"{_turns('user', 'assistant', 'user')}", ", line 1: ends with a question that has no a"),
    "an empty answer": ("a.jsonl", json.dumps(GOOD) + '\n\n{"prompt": "Who?", "completion": " "}\n',
                        ", line 3: the answer is empty (message 2 of 2)"),
    "no text": ("a.jsonl", json.dumps(GOOD) + '\n{"prompt": "Who?", "completion": null}\n',
                ", line 2: the field 'completion' is not a text but null"),
    "half of a surrogate pair": ("a.jsonl", json.dumps(GOOD) + '\n{"prompt": "Who?", "completion": "\\ud800"}\n',
                                 ", line 2: message 2 has half of a surrogate pair"),
    "another kind": ("a.jsonl", f"{json.dumps(GOOD)}\n{_turns('user', 'assistant')}\n",
                     ", line 2: has no question with an answer; it is a record of another kind (messages), and a file"),
    "a missing field": ("a.jsonl", f'{json.dumps(GOOD)}\n{{"prompt": "Who?"}}\n',
                        ", line 2: has no question with an answer; its fields are: 'prompt'"),
    "JSON lines that end early": ("a.jsonl", f'{json.dumps(GOOD)}\n{{"prompt": "Wh',
                                  ", line 2: is not valid JSON: it is cut short"),
    "an array that ends early": ("a.json", f'[{json.dumps(GOOD)},\n{{"prompt": "Wh', ", line 2: is not valid JSON: it"),
    "an object that ends early": ("a.json", '{"data": [{"prompt": "Wh', ": is not valid JSON: it is cut short"),
    "a file of other records": ("a.jsonl", '{"title": "One", "body": "Two"}\n',
                                ", line 1: its records have no question with an answer; their fields are: 'title',"),
    "an object without a list": ("a.json", '{"title": "One"}', ": is JSON, but no list of conversations is in it"),
    "an empty array": ("a.json", "[]", ": holds no record"),
    "a table without a header": ("a.csv", "Who is it?,Ada.\nWhen was it?,In 1998.\n",
                                 ", line 1: is a table whose first row names no columns"),
    "a table without an answer": ("a.csv", "question,date\nWho?,1998\nWhen?,1999\n",
                                  ", line 1: is a table without columns of questions and answers; its columns are"),
    "a row without an answer": ("a.csv", "question,answer\nWho?,Ada.\nWhen?\n",
                                ", line 3: has no field 'answer'"),
    "a row with an empty answer": ("a.csv", "question,answer\nWho?,Ada.\nWhen?,\n",
                                   ", line 3: the answer is empty"),
    "a row with too many cells": ("a.csv", "question,answer\nWho?,Ada.\nWhen?,In spring, 1998.\n",
                                  ", line 3: has 3 cells, where the table has 2 columns"),
    "a quote without end": ("a.csv", 'question,answer\nWho?,Ada.\n"When?,1998.\n', ", line 3: begins a quote"),
    "two labelled questions": ("a.txt", "User: Who?\nUser: When?\nAssistant: Ada.\n",
                               ", line 2: is the second of two questions in a row ('User'; the first is in line 1)"),
    "two labelled answers": ("a.txt", "User: Who?\nAssistant: Ada.\nAssistant: Ada?\n",
                             ", line 3: is the second of two answers in a row"),
    "a labelled answer first": ("a.txt", "Assistant: Hello.\nUser: Who?\nAssistant: Ada.\n",
                                ", line 1: is an answer to no question"),
    "an empty labelled answer": ("a.txt", "Q: Who?\nA: Ada.\nQ: When?\nA:\n", ", line 4: the answer is empty"),
    "a labelled question without an answer": ("a.txt", "Q: Who?\nA: Ada.\n\nQ: When?\n",
                                              ", line 4: is a question that has no answer"),
    "nothing but questions": ("a.txt", "Q: Who?\nQ: When?\nQ: Why?\n", ", line 1: is a question that has no answer; 3"),
    "prose": ("a.txt", "It was a dark night.\nAnd so it went.\n", ": no questions and answers are recognised in it"),
    "a poem with a colon": ("a.txt", "The rose said: oh\nthe violet: ah\nsugar is sweet\nand so are you\n" * 9,
                            ": no questions and answers are recognised in it"),
    "three names": ("a.txt", "ANNA: Hello\nBEN: Hi\nCARL: Hey\n" * 3,
                    ": a chat has two sides, and 3 names begin its lines: ANNA (3), BEN (3), CARL (3)"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_files(refused: Refused, what: str) -> None:
    name, content, said = BROKEN[what]
    assert refused(name, content).startswith(said)


def test_bytes_that_are_no_text(refused: Refused) -> None:
    assert "is not UTF-8: byte 3 is 0xE9, in line 1" in refused("a.txt", b"Q: \xe9?\nA: so\n")
    assert "NUL character" in refused("a.txt", b"Q: why?\nA: s\0o\n")


def test_an_encoding_that_a_person_names(read: Read) -> None:
    assert texts(read("a.txt", b"Q: \xe9?\nA: so\n", encoding="windows-1252")) == [["é?", "so"]]


def test_all_bad_ones_are_counted_and_can_be_skipped(read: Read, refused: Refused) -> None:
    bad: dict[str, Any] = {"prompt": "Who?", "completion": ""}
    content = "".join(json.dumps(each) + "\n" for each in (bad, GOOD, bad, GOOD, bad))
    message = refused("a.jsonl", content)
    assert "3 of 5 conversations are bad" in message
    assert "--skip-bad" in message
    found = read("a.jsonl", content, skip_bad=True)
    assert found.lines == [2, 4]
    assert found.notes[1].startswith("3 bad of 5 conversations skipped; the first, in line 1: the answer is empty")
    assert "--skip-bad" not in refused("b.jsonl", json.dumps(bad), skip_bad=True)


@pytest.mark.parametrize(("kind", "content"), [
    ("messages", json.dumps(GOOD)), ("telegram", json.dumps(GOOD)), ("whatsapp", "Q: a\nA: b\n"),
    ("table", "no table at all"), ("pairs", "Q: a\nA: b\n")])
def test_a_kind_that_the_file_is_not(refused: Refused, kind: str, content: str) -> None:
    refused("a.txt", content, kind=kind)


def test_an_option_that_the_kind_has_no_use_for_is_said(read: Read) -> None:
    """It is no error, since it may be meant for the text to train on, and this be the one to validate on."""
    name = "the name 'Ada' has no effect: a file of the kind"
    assert read("a.jsonl", json.dumps(GOOD), me="Ada").notes[1:] == [f"{name} pairs has roles and no names"]
    assert read("a.txt", "Q: a\nA: b\n", kind="labels", text_field="q,a").notes[1:] == [
        "the fields 'q,a' have no effect: a file of the kind labels has none to choose from"]
    assert [note.partition(" ha")[0] for note in read_chat_file("sums", me="Ada", text_field="q,a").notes[1:]] == [
        "the name 'Ada'", "the fields 'q,a'"]
    assert len(read("a.csv", "q,a\nWho?,Ada.\n", text_field="q,a").notes) == 1


def test_an_unknown_kind_and_a_folder(tmp_path: Any) -> None:
    with pytest.raises(TinyLMError, match="Did you mean 'sharegpt'"):
        read_chat_file("a.json", kind="sharegtp")
    with pytest.raises(TinyLMError, match="is a folder, and a chat is one file"):
        read_chat_file(tmp_path)
    with pytest.raises(TinyLMError, match="there is no such file"):
        read_chat_file(tmp_path / "missing.csv")
