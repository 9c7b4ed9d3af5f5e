"""The text in a record, by names and paths; and a bad record: stopped at with a remedy, or skipped and counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.text.formats.conftest import Reader, Refused, read, refused
from tinylm.text.reading.fields import BadRecord, text_of

__all__ = ["read", "refused"]

CHAT = {"id": 7, "messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": None},
                              {"role": "user", "content": "Well?"}]}
ALPACA = {"instruction": "Do it.", "input": "", "output": "Done."}
SHAREGPT = {"conversations": [{"from": "human", "value": "Hi."}, {"from": "gpt", "value": "Yes?"}]}
PARTS = {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}

PATHS: list[tuple[Any, str, str]] = [
    # record, field, text
    ({"text": "a"}, "text", "a"), ("a string is its own text", "text", "a string is its own text"),
    ({"data": {"text": "a"}}, "data.text", "a"), ({"a": {"b": {"c": "x"}}}, "a.b.c", "x"),
    ({"data.text": "exact", "data": {"text": "path"}}, "data.text", "exact"), ({"a.b": {"c": "x"}}, "a.b.c", "x"),
    ({"lines": ["one", "two"]}, "lines", "one\ntwo"), ({"lines": ["one", "two"]}, "lines.1", "two"),
    (CHAT, "messages.content", "Hi.\nWell?"), (CHAT, "messages.0.content", "Hi."),
    (SHAREGPT, "conversations.value", "Hi.\nYes?"),
    (PARTS, "messages.content.text", "a\nb"), (ALPACA, "instruction,output", "Do it.\nDone."),
    (ALPACA, "instruction, input, output", "Do it.\nDone."), ({"a,b": "exact", "a": "x", "b": "y"}, "a,b", "exact"),
    ({"q": {"t": "x"}, "a": ["y", "z"]}, "q.t,a", "x\ny\nz"), ({"0": "digit"}, "0", "digit"),
    ({"text": ""}, "text", ""),
]


@pytest.mark.parametrize(("record", "field", "text"), PATHS)
def test_the_text_of_a_record(record: Any, field: str, text: str) -> None:
    assert text_of(record, field) == text


SUGGESTIONS: list[tuple[dict[str, Any], str, str, str]] = [
    # record, field asked for, what is said of it, field that is suggested (and works)
    ({"data": {"text": "a"}}, "text", "its fields are: data.text (text)", "data.text"),
    ({"data": {"text": "a"}}, "data", "is not a string but an object", "data.text"),
    (CHAT, "text", "messages (a list of objects), messages.role (text), messages.content (text)", "messages.content"),
    (CHAT, "messages", "is not a string but a list of objects", "messages.content"),
    (SHAREGPT, "text", "conversations.value (text)", "conversations.value"),
    (PARTS, "messages.content", "is not a string but a list of objects", "messages.content.text"),
    (ALPACA, "text", "instruction (text), input (text), output (text)", "instruction,input,output"),
    ({"prompt": "p", "completion": "c", "id": 3}, "text", "id (a number (3))", "prompt,completion"),
    ({"Text": "a", "body": "b"}, "text", "its fields are: Text (text)", "Text"),
    ({"title": "t", "body": "some longer words"}, "text", "title (text)", "body"),
    ({"title": "t", "body": "some longer words"}, "titel", "body (text)", "title"),
    ({"lyrics": "la la la", "by": "x"}, "text", "by (text)", "lyrics"),
    ({"id": None, "the text": "a b c"}, "text", "id (null)", "the text"),
]


@pytest.mark.parametrize(("record", "field", "said", "suggested"), SUGGESTIONS)
def test_a_missing_text_names_what_is_there_and_a_field_that_works(record: dict[str, Any], field: str, said: str,
                                                                  suggested: str) -> None:
    with pytest.raises(BadRecord) as caught:
        text_of(record, field)
    assert said in caught.value.what
    shown = f"'{suggested}'" if " " in suggested else suggested
    assert f"--text-field {shown} (in Python: text_field={suggested!r})" in caught.value.remedy
    assert text_of(record, suggested)


@pytest.mark.parametrize(("value", "said"), [
    (None, "null"), (5, "a number (5)"), (True, "true"), ({}, "an empty object"), ([], "an empty list"),
    ([1, 2], "a list of values"),
    ([["a"]], "a list of values"), (["a", None], "a list of values")])
def test_what_is_no_text_is_named(value: Any, said: str) -> None:
    with pytest.raises(BadRecord, match=r"is not a string but ") as caught:
        text_of({"text": value}, "text")
    assert caught.value.what.endswith(said)


GOOD = '{"text": "a good record"}\n'
BAD = {
    # name of the case: a line, what the message must say of it
    "null": ('{"text": null}', "is not a string but null"), "number": ('{"text": 5}', "a number (5)"),
    "missing": ('{"txt": "a"}', "has no field 'text'; its fields are: txt (text)"),
    "broken": ("{nonsense}", "is not valid JSON"),
    "cut": ('{"text": "a good rec', "it is cut short"), "cut early": ('{"text"', "it is cut short"),
    "a comma after it": ('{"text": "a"},', "a record with a comma after it"),
    "a comma inside": ('{"text": "a",}', "no comma may stand before a closing bracket"),
    "an array": ('[1, 2]', "it is not a JSON object but a list of values"),
    "a number alone": ("17", "but a number (17)"),
    "half a pair": ('{"text": "a\\ud800"}', "half of a surrogate pair"),
    "python": ("{'text': 'a'}", "as Python prints it"),
    "two in one": ('{"text": "a"} {"text": "b"}', "more than one record is in it"),
    "too deep": ("[" * 99999, "brackets in brackets without end"),
    "digits": ('{"text": 1' + "0" * 5000 + "}", "JSON that can be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_records(read: Reader, refused: Refused, case: str) -> None:
    line, said = BAD[case]
    content = GOOD * 3 + line + "\n" + GOOD
    message = refused("a.jsonl", content)
    assert "a.jsonl, line 4: " in message
    assert said in message
    found = read("a.jsonl", content, skip_bad=True)
    assert (found.documents, found.lines) == (["a good record"] * 4, [1, 2, 3, 5])
    assert "a.jsonl: 1 bad of 5 records skipped; the first, in line 4: " in found.notes
    assert "all of its 3 records are bad; the first: " in refused("a.jsonl", (line + "\n") * 3, skip_bad=True)


def test_remedies_fit_the_place(refused: Refused) -> None:
    assert "--skip-bad" in refused("a.jsonl", GOOD + '{"text": null}\n')
    assert "--skip-bad" not in refused("a.jsonl", '{"body": "every record is so"}\n'), "skipping would leave nothing"
    later = refused("a.jsonl", GOOD + '{"body": "one of another kind"}\n')
    assert "--text-field body" in later
    assert "--skip-bad" in later
    array = json.dumps([{"text": "a"}], indent=1)
    assert "--documents json " in refused("a.jsonl", array)
    assert "--documents json " in refused("a.jsonl", '["a", "b"]\n')


def test_marks_blank_lines_and_empty_texts(read: Reader) -> None:
    mark = "\ufeff"
    found = read("a.jsonl", f'{mark}{mark}{{"text": "one"}}\n\n  \n{mark}{{"text": "two"}}\r\n{{"text": ""}}\n"three"')
    assert (found.documents, found.lines) == (["one", "two", "three"], [1, 4, 6])
    assert "1 of 4 records without text passed over" in found.notes
