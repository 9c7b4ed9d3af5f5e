"""JSON that is no JSON lines: arrays, objects that hold one, objects one after another."""

from __future__ import annotations

import json

import pytest

from tests.text.formats.conftest import Reader, Refused
from tinylm.text.formats import reading

TEXTS = ["one thing", "two things", "three \"things\"\nand é"]
OBJECTS = [{"id": i, "text": text} for i, text in enumerate(TEXTS)]
SHAPES = {
    "strings": TEXTS, "objects": OBJECTS, "an object with one array": {"version": 1, "data": OBJECTS},
    "an array beside others": {"tags": ["a", "b"], "rows": OBJECTS, "more": [{"id": 1}]},
    "an array of strings in it": {"texts": TEXTS},
    "objects by name": {f"k{i}": record for i, record in enumerate(OBJECTS)},
    "a column": {"text": TEXTS, "id": [1, 2, 3]},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("indent", [None, 2])
def test_shapes_of_json(read: Reader, shape: str, indent: int | None) -> None:
    found = read("a.json", json.dumps(SHAPES[shape], indent=indent) + "\n")
    assert found.documents == TEXTS
    assert "read as " in found.notes
    if indent:
        assert found.lines[0] < found.lines[1] < found.lines[2]
    assert read("a.json", "\ufeff" + json.dumps(SHAPES[shape], indent=indent)).documents == TEXTS


def test_records_one_after_another(read: Reader) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in OBJECTS)
    found = read("a.json", lines)
    assert (found.documents, found.lines) == (TEXTS, [1, 2, 3])
    assert "read as JSON lines, text in 'text' (as --documents jsonl does)" in found.notes
    spread = "".join(json.dumps(record, indent=1) + "\n" for record in OBJECTS)
    assert (read("a.json", spread).documents, read("a.json", spread).lines) == (TEXTS, [1, 5, 9])
    assert read("a.jsonl", spread, documents="json").documents == TEXTS
    assert read("a.json", json.dumps(OBJECTS[0])).documents == [TEXTS[0]]
    nested = json.dumps({"rows": [{"row": {"text": text}} for text in TEXTS]})
    assert read("a.json", nested, text_field="row.text").documents == TEXTS


REFUSED = {
    "settings": ({"name": "x", "dependencies": {"a": "1"}, "files": ["src", "tests"]}, "no list of texts or records"),
    "two lists": ({"a": OBJECTS, "b": OBJECTS},
                  "several lists in it might be the texts: a, b. Take one out, for example: jq"),
    "numbers": ([1, 2, 3], "a JSON array, but not of texts"),
    "another field": ([{"id": 1, "body": "some words"}],
                      "has no field 'text'; its fields are: id (a number (1)), body (text). "
                      "Name the field that holds the text: --text-field body"),
    "an empty array": ([], "a JSON array, but not of texts"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_json_without_texts(refused: Refused, case: str) -> None:
    value, expected = REFUSED[case]
    assert expected in refused("a.json", json.dumps(value))


@pytest.mark.parametrize("content", ['{"text": "a', "{nonsense}", "not JSON at all", "[" * 9999,
                                     '[{"text": 1' + "0" * 5000])
def test_broken_json(refused: Refused, content: str) -> None:
    assert "--documents text" in refused("a.json", content)


def test_an_array_that_is_cut_short(read: Reader, refused: Refused) -> None:
    content = json.dumps(OBJECTS, indent=0)[:-20]
    message = refused("a.json", content)
    assert "a.json, line 10, record 3: is not valid JSON: it is cut short" in message
    assert "--skip-bad" in message
    found = read("a.json", content, skip_bad=True)
    assert found.documents == TEXTS[:2]
    assert "1 bad of 3 records skipped; the first, in line 10, record 3:" in found.notes
    one_line = read("a.json", json.dumps([TEXTS[0], {"text": None}, TEXTS[1]]), skip_bad=True)
    assert "the first, in line 1, record 2: the field 'text' is not a string but null" in one_line.notes


def test_an_archive_of_twitter(read: Reader, refused: Refused) -> None:
    tweets = "window.YTD.tweets.part0 = " + json.dumps([{"tweet": {"id": "1", "full_text": text}} for text in TEXTS])
    assert "--text-field tweet.full_text" in refused("tweets.js", tweets)
    assert read("tweets.js", tweets, text_field="tweet.full_text").documents == TEXTS


def test_a_file_too_large_to_be_held(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST", 1 << 20)
    message = refused("big.json", json.dumps([{"text": "word " * 300_000}]))
    assert "jq -c '.[]'" in message
    assert "too many to be read whole" in refused("big.html", "<p>" + "word " * 300_000)
