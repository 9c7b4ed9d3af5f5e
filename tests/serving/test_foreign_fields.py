"""The tables of other servers' fields: each field in one of them, in the OpenAPI document and in docs/SERVING.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tinylm.http.errors import ApiError
from tinylm.serving import foreign_fields, openapi
from tinylm.serving.reading import TEXT_REQUESTS, parse
from tinylm.serving.request_schemas import ChatRequest, CompletionRequest

ASKED = {"model": "m", "prompt": "a"}
CHATTED = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
PAGE = (Path(__file__).parents[2] / "docs" / "SERVING.md").read_text(encoding="utf-8")
ANYTHING = [None, True, False, 0, 1, -1, 2.5, "", "x", [], [1], ["a"], {}, {"a": 1}, [[["a"]]]]


def parsed(**fields: Any) -> CompletionRequest:
    return parse(CompletionRequest, json.dumps({**ASKED, **fields}).encode())


def outcome(**fields: Any) -> tuple[str, str]:
    """What is asked, as text; or the error and its field."""
    return outcome_of(CompletionRequest, {**ASKED, **fields})


def outcome_of(kind: type[BaseModel], fields: dict[str, Any]) -> tuple[str, str]:
    try:
        return repr(parse(kind, json.dumps(fields).encode())), ""
    except ApiError as error:
        return str(error), str(error.param)


def test_each_field_has_one_meaning() -> None:
    names = [*foreign_fields.NAMES, *CompletionRequest.model_fields]
    assert len(names) == len({*names})
    assert {*foreign_fields.ALIASES.values()} <= {*CompletionRequest.model_fields}


@pytest.mark.parametrize("name", [*foreign_fields.NAMES, *CompletionRequest.model_fields])
def test_each_is_documented(name: str) -> None:
    assert re.search(rf"`{name}[`.]", PAGE), "docs/SERVING.md does not tell of it"
    schema = openapi._schemas()["CompletionRequest"]["properties"]
    assert name in schema or any(name in re.findall(r"[\w]+", field.get("description", ""))
                                 for field in schema.values())


@pytest.mark.parametrize("name", [*foreign_fields.CHAT_FIXED, *ChatRequest.model_fields])
def test_fields_of_chats_are_documented(name: str) -> None:
    assert re.search(rf"`{name}[`.]", PAGE), "docs/SERVING.md does not tell of it"
    assert name in openapi._schemas()["ChatRequest"]["properties"]


@pytest.mark.parametrize("name", TEXT_REQUESTS[ChatRequest])
def test_what_a_chat_takes_of_other_servers_fields_and_nothing_else(name: str) -> None:
    fixed = TEXT_REQUESTS[ChatRequest][name]
    for value in [*ANYTHING, *fixed.values]:
        body = json.dumps({**CHATTED, name: value}).encode()
        if value is None or any(json.dumps(value) == json.dumps(each) for each in fixed.values):
            assert parse(ChatRequest, body) == parse(ChatRequest, json.dumps(CHATTED).encode())
            continue
        with pytest.raises(ApiError) as told:
            parse(ChatRequest, body)
        assert told.value.param == name


@pytest.mark.parametrize("name", ChatRequest.model_fields)
def test_errors_of_fields_of_chats_are_in_words_of_json(name: str) -> None:
    wrong = [*ANYTHING, [{"role": 1}], [{"content": {}}], [CHATTED["messages"][0] | {"refusal": "no"}]]
    for value in wrong:
        said, param = outcome_of(ChatRequest, {**CHATTED, name: value})
        if param:
            assert param.split(".")[0] == name
            assert not re.search(r"None|True|False|Input|[a-z]_type|dict|\bliteral", said), said


@pytest.mark.parametrize("name", CompletionRequest.model_fields)
def test_errors_of_our_own_fields_are_in_words_of_json(name: str) -> None:
    """Whatever stands in the field: taken, or refused with the field and in no words of Python or pydantic."""
    for value in [*ANYTHING, 10**30, -7, "x" * 600, {"3": None}, {"3": 1000}, [None], [[1], []], [[]], "5", "true"]:
        said, param = outcome(**{name: value})
        if param:
            assert param.split(".")[0] == name
            assert param in said
            assert not re.search(r"None|True|False|Input|[a-z]_type|dict|\bliteral", said), said


@pytest.mark.parametrize("name", foreign_fields.FIXED)
def test_what_is_documented_as_taken_is_taken_and_nothing_else(name: str) -> None:
    allowed = [None, *foreign_fields.FIXED[name].values]
    for value in [*ANYTHING, *allowed]:
        if any(json.dumps(value) == json.dumps(each) for each in allowed):
            assert parsed(**{name: value}) == parsed()
            continue
        with pytest.raises(ApiError) as told:
            parsed(**{name: value})
        assert told.value.param == name
        for each in foreign_fields.FIXED[name].values:
            assert json.dumps(each) in str(told.value)


@pytest.mark.parametrize("name", [name for names in foreign_fields.IGNORED.values() for name in names])
def test_hints_have_no_effect(name: str) -> None:
    assert all(parsed(**{name: value}) == parsed() for value in ANYTHING)


@pytest.mark.parametrize("name", foreign_fields.ALIASES)
def test_other_names_are_held_to_the_same(name: str) -> None:
    """With the client's own name in the error."""
    own = foreign_fields.ALIASES[name]
    for value in ANYTHING:
        expected, param = outcome(**{own: value})
        if param:
            assert outcome(**{name: value}) == (expected.replace(own, name), param.replace(own, name))
        else:
            assert outcome(**{name: value}) == outcome(**{name: value, own: value}) == (expected, "")


def test_two_names_may_not_contradict_each_other() -> None:
    for values in ({"stop": "a", "stop_sequence": "b"}, {"max_new_tokens": 3, "n_predict": 4},
                   {"seed": 1, "sampler_seed": 2}, {"ignore_eos": True, "ban_eos_token": 1},
                   {"stop": [[["a"]]], "stopping_strings": [[["a"]]]}):
        with pytest.raises(ApiError) as told:
            parsed(**values)
        assert told.value.param in values


def test_deep_values_are_refused_and_not_followed() -> None:
    deep = "[" * 900 + "]" * 900
    for name in (*foreign_fields.ALIASES, *foreign_fields.FIXED, *foreign_fields.PENALTY_SCOPES):
        more = ', "presence_penalty": 1, "max_tokens": [[1]], "stop": [[1]]'
        with pytest.raises(ApiError):
            parse(CompletionRequest, f'{{"model": "m", "{name}": {deep}{more}}}'.encode())
