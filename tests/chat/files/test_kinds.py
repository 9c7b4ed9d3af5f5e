"""Files of every kind are recognised by their content, and give the same conversations."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.chat.files.conftest import Read, texts
from tinylm.chat.conversation import Message, read_messages
from tinylm.chat.files import counted, describe, read_chat_file, shown
from tinylm.text.reading.sources import Texts


def _lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _messages(*said: str, names: tuple[str, str] = ("user", "assistant"), keys: tuple[str, str] = ("role", "content"),
              ) -> list[dict[str, str]]:
    return [{keys[0]: names[number % 2], keys[1]: text} for number, text in enumerate(said)]


_PAIRS = [["Who bakes?", "Ada does."], ["Since when?", "Since 1998."]]
_QUESTIONS = [{"question": question, "answer": answer} for question, answer in _PAIRS]
_SHAREGPT = [{"id": str(number), "conversations": _messages(*pair, names=("human", "gpt"), keys=("from", "value"))}
             for number, pair in enumerate(_PAIRS)]

PAIRS = {
    "messages": ("a.jsonl", _lines(*({"messages": _messages(*pair)} for pair in _PAIRS)), [1, 2]),
    "messages, an array": ("a.json", json.dumps([{"messages": _messages(*pair)} for pair in _PAIRS]), [1, 1]),
    "messages, arrays of messages": ("a.jsonl", _lines(*(_messages(*pair) for pair in _PAIRS)), [1, 2]),
    "messages, contents in parts": ("a.jsonl", _lines(*({"messages": [
        {"role": each["role"], "content": [{"type": "text", "text": each["content"]}]} for each in _messages(*pair)]}
        for pair in _PAIRS)), [1, 2]),
    "messages in a text file": ("a.txt", _lines(*({"messages": _messages(*pair)} for pair in _PAIRS)), [1, 2]),
    "pairs": ("a.jsonl", _lines(*({"prompt": question, "completion": answer} for question, answer in _PAIRS)), [1, 2]),
    "pairs of lists": ("a.jsonl", _lines(*({"prompt": _messages(question), "completion": [
        {"role": "assistant", "content": answer}]} for question, answer in _PAIRS)), [1, 2]),
    "pairs over several lines": ("a.json", json.dumps(_QUESTIONS, indent=1), [2, 6]),
    "pairs in an object": ("a.json", json.dumps({"version": 1, "data": _QUESTIONS}), [1, 1]),
    "pairs, one after another": ("a.json", "\n".join(json.dumps(each, indent=1) for each in _QUESTIONS), [1, 5]),
    "pairs with other names": ("a.ndjson", _lines(*({"ID": 1, "Query": question, "Response": answer}
                                                    for question, answer in _PAIRS)), [1, 2]),
    "alpaca": ("a.json", json.dumps([{"instruction": question, "input": "", "output": answer}
                                     for question, answer in _PAIRS]), [1, 1]),
    "sharegpt": ("a.json", json.dumps(_SHAREGPT), [1, 1]),
    "table": ("a.csv", "question,answer\n" + "".join(
        f'{question},"{answer}"\n' for question, answer in _PAIRS), [2, 3]),
    "table with semicolons": ("a.csv", "Id;Prompt;Response\n" + "".join(
        f"1;{question};{answer}\n" for question, answer in _PAIRS), [2, 3]),
    "table with tabs": ("a.tsv", "input\toutput\n" + "".join(
        f"{question}\t{answer}\n" for question, answer in _PAIRS), [2, 3]),
    "table in a text file": ("a.txt", "q\ta\n" + "".join(
        f"{question}\t{answer}\n" for question, answer in _PAIRS), [2, 3]),
    "labels": ("a.txt", "\n".join(f"User: {question}\nAssistant: {answer}\n" for question, answer in _PAIRS), [1, 4]),
    "labels without empty lines": ("a.txt", "".join(f"Q: {question}\nA: {answer}\n" for question, answer in _PAIRS),
                                   [1, 3]),
    "labels with numbers": ("a.txt", "".join(f"Q{number}: {question}\nA{number}: {answer}\n"
                                             for number, (question, answer) in enumerate(_PAIRS)), [1, 3]),
    "labels with empty lines between turns": ("a.txt", "\n\n\n".join(
        f"Human: {question}\n\nAI: {answer}" for question, answer in _PAIRS), [1, 6]),
    "labels with rules": ("a.md", "\n---\n".join(
        f"**User:** {question}\n\n**Assistant:** {answer}" for question, answer in _PAIRS), [1, 5]),
    "labels on lines of their own": ("a.txt", "\n".join(
        f"### Human:\n{question}\n### Assistant:\n{answer}\n" for question, answer in _PAIRS), [1, 6]),
    "labels in German": ("a.txt", "".join(f"Frage: {question}\nAntwort: {answer}\n" for question, answer in _PAIRS),
                         [1, 3]),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_pairs(read: Read, kind: str) -> None:
    name, content, lines = PAIRS[kind]
    found = read(name, content)
    assert texts(found) == _PAIRS
    assert found.kind == kind.split()[0].rstrip(",")
    assert found.lines == lines
    assert len(found.notes) == 1
    assert describe(found)[0] == "2 conversations with 2 answers"
    assert texts(read(name, content, kind=found.kind)) == _PAIRS


@pytest.mark.parametrize("kind", PAIRS)
def test_line_ends_marks_and_packing_change_nothing(read: Read, kind: str) -> None:
    name, content, lines = PAIRS[kind]
    of_windows = b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode()
    for packed_name, packed in ((name, of_windows), (f"{name}.gz", gzip.compress(content.encode()))):
        found = read(packed_name, packed)
        assert texts(found) == _PAIRS
        assert found.lines == lines


def test_parts_of_a_content_are_lines_as_they_are_where_a_model_is_asked(read: Read) -> None:
    parts = [{"type": "text", "text": "Who bakes?"}, {"type": "text", "text": "Be brief."}]
    asked = [{"role": "user", "content": parts}]
    said = {"system": " ", "messages": [*asked, {"role": "assistant", "content": "Ada."}]}
    assert read("a.jsonl", _lines(said)).conversations[0][:1] == read_messages(asked) == [
        Message("user", "Who bakes?\nBe brief.")]


LONGER = ["system: Be kind.", "Hello", "Hello!\n\nHow are you?", "Fine.\nAnd you?", "Fine, too."]
TURNS = {
    "messages": _lines({"messages": [{"role": "system", "content": "Be kind."}, *_messages(*LONGER[1:])]}),
    "a single conversation": json.dumps(
        [{"role": "developer", "content": "Be kind."}, *_messages(*LONGER[1:])], indent=1),
    "sharegpt": json.dumps([{"system": "Be kind.", "conversations": _messages(
        *LONGER[1:], names=("human", "gpt"), keys=("from", "value"))}]),
    "labels": "System: Be kind.\nUser: Hello\nAssistant: Hello!\n\nHow are you?\nUser: Fine.\nAnd you?\n"
              "Assistant: Fine, too.\n",
}


@pytest.mark.parametrize("kind", TURNS)
def test_system_texts_and_several_turns(read: Read, kind: str) -> None:
    assert texts(read("a.txt", TURNS[kind])) == [LONGER]


def test_an_instruction_stands_before_what_it_is_about(read: Read) -> None:
    records = [{"instruction": "Add.", "input": "2 and 3", "output": "5"},
               {"instruction": "Sum up.", "context": "A long text.", "response": "Short."}]
    assert texts(read("a.json", json.dumps(records[:1]))) == [["Add.\n\n2 and 3", "5"]]
    assert texts(read("a.json", json.dumps(records[1:]))) == [["Sum up.\n\nA long text.", "Short."]]


def test_columns_that_a_person_names(read: Read) -> None:
    table = "Wen;Was\nWer?;Ada.\nWann?;1998.\n"
    assert texts(read("a.csv", table, text_field="Wen,Was")) == [["Wer?", "Ada."], ["Wann?", "1998."]]
    assert texts(read("a.csv", table, text_field="Was,Wen"))[0] == ["Ada.", "Wer?"]
    headless = "Who is it?,Ada.\nWhen was it?,1998.\n"
    assert texts(read("a.csv", headless, text_field="1,2"))[1] == ["When was it?", "1998."]
    assert texts(read("a.jsonl", _lines({"x": "Who?", "y": "Ada."}), text_field="x,y")) == [["Who?", "Ada."]]


def test_labels_inside_answers_are_text(read: Read) -> None:
    found = read("a.txt", "User: Which?\nAssistant: One of\nA: tea\nB: milk\n\nUser: And?\nAssistant: Note: tea.\n")
    assert texts(found) == [["Which?", "One of\nA: tea\nB: milk"], ["And?", "Note: tea."]]
    assert "begin with 'A:' are taken as part of a turn" in found.notes[0]


def test_names_as_labels(read: Read) -> None:
    play = "ANNA: Hello\nBEN: Hi\n\nANNA: Tea?\nBEN: Yes\n"
    assert texts(read("a.txt", play)) == [["Hello", "Hi"], ["Tea?", "Yes"]]
    found = read("a.txt", "ANNA: Hello\nBEN: Hi\nBEN: there\nCARL: Hey\nANNA: Tea?\nBEN: Yes\nCARL: No\n", me="ben")
    assert texts(found) == [["Hello", "Hi\nthere", "Hey\nTea?", "Yes"]]
    assert found.kind == "labels"
    assert found.notes[0].endswith("Left out because nobody answered, or nothing was asked: 1 message")


def test_texts_in_memory_and_what_is_shown() -> None:
    text = "System: Be kind.\nUser: Hello\nAssistant: Hi\nthere\n\nUser: Bye\nAssistant: Bye\n"
    found = read_chat_file(Texts.of(text))
    assert describe(found) == ["2 conversations with 2 answers", "<bos>Be kind.↵↵Hello<eos>[Hi↵there<eos>]"]
    assert shown(found.conversations[1]) == "<bos>Bye<eos>[Bye<eos>]"
    assert counted(found.conversations[:1]) == "1 conversation with 1 answer"
