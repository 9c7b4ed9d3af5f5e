"""/v1/chat/completions: for the official client, LangChain and what other clients send."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import tinylm
from tests import chat_models
from tests.chat.test_encode import contents
from tests.chat_models import LEARNED, turns
from tinylm.chat.chat_format import TURNS
from tinylm.chat.encode import encode_conversation

from .server import BIAS, Server

openai = pytest.importorskip("openai")
PATH = "/v1/chat/completions"
KEY = "a-key-of-some-length-0123456789"


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chats")
    chat_models.learned(folder / "learned")
    chat_models.random(folder / "random")
    return folder


@pytest.fixture(scope="module")
def server(chats: Path) -> Iterator[Server]:
    with Server(chats, "--api-key", KEY, "--queue", 200, key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def lm(chats: Path) -> tinylm.LanguageModel:
    return tinylm.load(chats / "learned")


@pytest.fixture(scope="module")
def knows_all(chats: Path) -> tinylm.LanguageModel:
    return tinylm.load(chats / "random")


def said(*texts: str, system: str = "") -> list[dict[str, str]]:
    return [each._asdict() for each in turns(*texts, system=system)]


def body(*texts: str, model: str = "random", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": said(*texts), **fields}


def answer(server: Server, *texts: str, **fields: Any) -> str:
    reply = server.ask(PATH, body(*texts, **fields))
    assert reply.status == 200, reply
    text: str = reply.json["choices"][0]["message"]["content"]
    return text


def deltas(events: list[Any], index: int = 0) -> list[dict[str, Any]]:
    return [choice["delta"] for event in events for choice in event["choices"] if choice["index"] == index]


def streamed(events: list[Any], index: int = 0) -> str:
    return "".join(delta.get("content", "") for delta in deltas(events, index))


# ---- the official client


@pytest.mark.parametrize("texts", LEARNED)
def test_a_conversation_with_the_official_client(client: Any, texts: tuple[str, ...]) -> None:
    """Its own objects go back to it as they came."""
    messages: list[Any] = []
    for question, expected in zip(texts[::2], texts[1::2], strict=True):
        messages.append({"role": "user", "content": question})
        found = client.chat.completions.create(model="learned", messages=messages, temperature=0)
        assert (found.object, found.choices[0].finish_reason, found.choices[0].message.role) == (
            "chat.completion", "stop", "assistant")
        assert found.choices[0].message.content == expected
        messages.append(found.choices[0].message)


def test_a_stream_says_who_speaks_then_what_then_why_it_ended(client: Any) -> None:
    create = client.chat.completions.create
    chunks = list(create(**body("how are you ?", model="learned", temperature=0), stream=True,
                         stream_options={"include_usage": True}))
    *told, last = chunks
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert (told[0].choices[0].delta.role, told[0].choices[0].delta.content) == ("assistant", "")
    assert [chunk.choices[0].delta.role for chunk in told[1:]] == [None] * (len(told) - 1)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in told) == "fine , and you ?"
    assert [chunk.choices[0].finish_reason for chunk in told] == [None] * (len(told) - 1) + ["stop"]
    assert told[-1].choices[0].delta.content is None
    assert (last.choices, last.usage.prompt_tokens, last.usage.completion_tokens) == ([], 6, 6)
    assert all(chunk.usage is None for chunk in told)


@pytest.mark.parametrize("fields", [{"n": 3}, {"temperature": 0}, {"stop": ["e", "a"]}, {"max_completion_tokens": 3},
                                    {"presence_penalty": 1.0, "top_p": 0.9}, {"extra_body": {"top_k": 5}}], ids=str)
def test_settings_mean_what_they_mean_in_python(client: Any, knows_all: tinylm.LanguageModel,
                                                fields: dict[str, Any]) -> None:
    found = client.chat.completions.create(**body("hello", max_tokens=12, seed=7) | fields | (
        {"max_tokens": openai.omit} if "max_completion_tokens" in fields else {}))
    own = {"max_tokens": fields.get("max_completion_tokens", 12), "seed": 7, **fields.get("extra_body", {}),
           **{name: value for name, value in fields.items() if name in ("temperature", "stop", "presence_penalty",
                                                                        "top_p")}}
    if fields.get("temperature") == 0:
        own = {"max_tokens": 12, "greedy": True}
    for number, choice in enumerate(found.choices):
        expected = knows_all.chat.complete("hello", **own | ({"seed": 7 + number} if "seed" in own else {}))
        assert choice.message.content == expected.text
        assert choice.finish_reason == ("length" if expected.stopped_by == "length" else "stop")
    assert len(found.choices) == fields.get("n", 1)
    assert found.usage.prompt_tokens == len("hello") + 2


@pytest.mark.parametrize("top", [None, 0, 4])
def test_logprobs(client: Any, knows_all: tinylm.LanguageModel, top: int | None) -> None:
    fields = {**body("hello", max_tokens=8, seed=7), "logprobs": True} | ({} if top is None else {"top_logprobs": top})
    told = client.chat.completions.create(**fields).choices[0].logprobs.content
    expected = knows_all.chat.complete("hello", max_tokens=8, seed=7, logprobs=top or 0).logprobs
    assert [each.token for each in told] == [each.token for each in expected]
    assert [bytes(each.bytes) for each in told] == [knows_all.tokenizer.token_bytes(each.id) for each in expected]
    assert [each.logprob for each in told] == pytest.approx([each.logprob for each in expected])
    assert [[other.token for other in each.top_logprobs] for each in told] == [
        [other.token for other in each.top] for each in expected]
    chunks = list(client.chat.completions.create(**fields, stream=True))
    pieces = [each.token for chunk in chunks if chunk.choices[0].logprobs for each in chunk.choices[0].logprobs.content]
    assert pieces == [each.token for each in told]


def test_models_say_whether_they_chat(client: Any, hello_run: Path) -> None:
    models = client.models.list()
    assert {model.id for model in models} == {"learned", "random"}
    assert all(model.capabilities == ["completion", "chat"] for model in models)
    with Server(hello_run) as server:
        assert server.ask("/v1/models").json["data"][0]["capabilities"] == ["completion"]


# ---- streams, and many at once


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(contents, min_size=1, max_size=3).filter(lambda texts: len(texts) % 2 == 1),
       seed=st.integers(0, 2**31))
@example(texts=["\r"], seed=0)
def test_nothing_that_is_said_poses_as_a_role_or_ends_a_turn(server: Server, knows_all: tinylm.LanguageModel,
                                                             texts: list[str], seed: int) -> None:
    """The prompt over HTTP is that of `encode_conversation` with plain line ends, whatever is spelled out; and a stream
    says what the whole answer says."""
    plain = [knows_all.tokenizer.typed(text).text for text in texts]
    ids = encode_conversation(turns(*plain), TURNS, knows_all.tokenizer).ids
    asked = body(*texts, max_tokens=6, seed=seed)
    reply = server.ask(PATH, asked)
    if len(ids) > 59:  # of 64, with room for 6 new ones, of which the last is not read
        assert "warnings" in reply.json or reply.error["param"] == f"messages.{len(texts) - 1}"
        return
    assert reply.json["usage"]["prompt_tokens"] == len(ids)
    request, = knows_all.generator.requests_after(ids, max_tokens=6, seed=seed)
    assert reply.json["choices"][0]["message"]["content"] == "".join(knows_all.generator.stream_request(request))
    events = server.ask(PATH, {**asked, "stream": True}).events
    assert streamed(events) == reply.json["choices"][0]["message"]["content"]


def test_thirty_conversations_at_once_are_those_one_by_one(server: Server) -> None:
    asked = [body(f"question {number}", "an answer", "again", seed=number, max_tokens=40, temperature=1.2,
                  logit_bias=BIAS, stream=True) for number in range(30)]
    alone = [streamed(server.ask(PATH, fields).events) for fields in asked]
    assert len({*alone}) == 30
    with ThreadPoolExecutor(30) as pool:
        assert list(pool.map(lambda fields: streamed(server.ask(PATH, fields).events), asked)) == alone


def test_choices_of_a_stream_are_told_apart(server: Server) -> None:
    fields = body("hello", n=3, seed=1, max_tokens=20)
    events, whole = server.ask(PATH, {**fields, "stream": True}).events, server.ask(PATH, fields).json
    for index in range(3):
        assert deltas(events, index)[0]["role"] == "assistant"
        assert streamed(events, index) == whole["choices"][index]["message"]["content"]


def test_a_long_conversation_is_told_what_was_left_out(server: Server) -> None:
    reply = server.ask(PATH, body(*["fine", "good"] * 30, "who are you ?", model="learned", temperature=0)).json
    assert reply["choices"][0]["message"]["content"] == "a model"
    assert "questions and their answers were left out: the model sees 32 tokens" in reply["warnings"][0]


# ---- what other clients send


@pytest.mark.parametrize("fields", [
    {"stream": False, "options": {}, "max_completion_tokens": 5, "metadata": {"task": "title_generation"}},
    {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "user": "somebody", "store": False},
    {"response_format": {"type": "text"}, "modalities": ["text"], "reasoning_effort": "none", "n": 1, "echo": False},
    {"temperature": 0.7, "top_p": 1, "top_k": 40, "repeat_penalty": 1.1, "min_p": 0.05, "n_predict": 5,
     "cache_prompt": True, "samplers": None, "add_generation_prompt": True, "chat_template_kwargs": {}},
], ids=["Open-WebUI", "agents", "OpenAI's", "llama.cpp's"])
def test_what_clients_send_beside_the_messages(server: Server, fields: dict[str, Any]) -> None:
    assert server.ask(PATH, body("hello", **fields)).status == 200


def test_parts_and_developers(server: Server, lm: tinylm.LanguageModel) -> None:
    parts = [{"type": "text", "text": "how are"}, {"type": "text", "text": "you ?"}]
    messages = [{"role": "developer", "content": "fine"}, {"role": "user", "content": parts, "name": "Ann"}]
    reply = server.ask(PATH, {"model": "learned", "messages": messages, "temperature": 0}).json
    expected = encode_conversation(turns("how are\nyou ?", system="fine"), TURNS, lm.tokenizer).ids
    assert reply["usage"]["prompt_tokens"] == len(expected)


@pytest.mark.parametrize(("wrong", "param", "words"), [
    ({"messages": []}, "messages", "1 entry"),
    ({"messages": "hello"}, "messages", "an array, and is a string"),
    ({"messages": [{"role": "user"}]}, "messages.0.content", "is missing"),
    ({"messages": [{"role": "user", "content": None}]}, "messages.0.content", "is null"),
    ({"messages": [{"role": "user", "content": []}]}, "messages.0.content", "without parts"),
    ({"messages": [{"role": "usr", "content": "a"}]}, "messages.0.role", "system, developer, user or assistant"),
    ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role", "call no tools"),
    ({"messages": said("a") + said("b")}, "messages.1", "one of the assistant is expected"),
    ({"messages": said("a", "b")}, "messages.1", "End with a message of the user"),
    ({"messages": [{"role": "system", "content": "a"}]}, "messages", "nothing to answer"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}]},
     "messages.0.content.0", "text alone"),
    ({"messages": [{"role": "user", "content": "a", "tool_calls": [{}]}]}, "messages.0.tool_calls", "no tools"),
    ({"messages": [{"role": "user", "content": "a", "nam": "x"}]}, "messages.0.nam", "'name'"),
    ({"messages": said("long " * 200)}, "messages.0", "this model sees 64 at once"),
    ({"tools": [{"type": "function"}]}, "tools", "call no tools"),
    ({"tool_choice": "required"}, "tool_choice", "call no tools"),
    ({"modalities": ["audio"]}, "modalities", "text alone"),
    ({"response_format": {"type": "json_object"}}, "response_format", "held to a form"),
    ({"chat_template": "{{ 7 * 7 }}"}, "chat_template", "lies in the model's folder"),
    ({"options": {"num_ctx": 5}}, "options", "beside the messages"),
    ({"prompt": "hello"}, "prompt", "/v1/completions"),
    ({"logprobs": 3}, "logprobs", "true or false"), ({"top_logprobs": 3}, "top_logprobs", "'logprobs'"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "20 or less"),
    ({"temperature": -1}, "temperature", "0 or more"), ({"temprature": 1}, "temprature", "'temperature'"),
    ({"model": "no-such"}, "model", "There is no model"),
], ids=str)
def test_what_is_wrong_is_named(server: Server, wrong: dict[str, Any], param: str, words: str) -> None:
    reply = server.ask(PATH, {**body("hello"), **wrong})
    assert reply.status == (404 if "model" in wrong else 400)
    assert reply.error["param"] == param
    assert words in reply.error["message"], reply.error


def test_unknown_words_are_named_by_their_message(server: Server) -> None:
    reply = server.ask(PATH, body("fine", "good", "I am Ben", model="characters"))
    assert reply.status == 404
    reply = server.ask(PATH, body("fine", "good", "who am I", model="learned"))
    assert reply.status == 200
    assert any("unknown to this model" in each for each in reply.json["warnings"])


def test_completions_of_a_chat_model_still_work(server: Server, lm: tinylm.LanguageModel) -> None:
    reply = server.ask("/v1/completions", {"model": "learned", "prompt": "how are", "temperature": 0, "max_tokens": 9})
    assert reply.json["choices"][0]["text"] == lm.generate("how are", greedy=True, max_tokens=9)


def test_langchain(server: Server) -> None:
    chat_openai = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed").ChatOpenAI
    chat = chat_openai(base_url=f"{server.url}/v1", api_key=KEY, model="learned", temperature=0, max_retries=0)
    history = [("system", "fine"), ("human", "who are you ?")]
    assert chat.invoke("how are you ?").content == "fine , and you ?"
    assert "".join(each.content for each in chat.stream("how are you ?")) == "fine , and you ?"
    assert chat.invoke(history).response_metadata["finish_reason"] in ("stop", "length")
    assert [each.content for each in chat.batch(["how are you ?", "fine"])] == ["fine , and you ?", "good"]
    told = chat.bind(logprobs=True).invoke("fine").response_metadata["logprobs"]["content"]
    assert told[0]["token"] == "good"
