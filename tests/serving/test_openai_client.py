"""The official client of OpenAI works as it is (promise S10): 60 calls and more, and what a stream looks like to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tinylm

from .server import BIAS, Server

openai = pytest.importorskip("openai")

KEY = "a-key-of-some-length-0123456789"


@pytest.fixture(scope="module")
def with_key(runs: Path) -> Iterator[Server]:
    with Server(runs, "--api-key", KEY, key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def client(with_key: Server) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{with_key.url}/v1", api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def lm(runs: Path) -> tinylm.LanguageModel:
    return tinylm.load(runs / "characters")


@pytest.fixture
def create(client: Any) -> Callable[..., Any]:
    """A completion of the model of characters."""
    usual = {"model": "characters", "max_tokens": 12, "seed": 7}
    return lambda prompt="ab", **fields: client.completions.create(**{**usual, "prompt": prompt, **fields})


def first(completion: Any) -> str:
    text: str = completion.choices[0].text
    return text


# ---- models


def test_models_are_listed(client: Any) -> None:
    models = client.models.list()
    assert [model.id for model in models] == ["characters", "random_bytes", "whole_characters"]
    assert {model.object for model in models} == {"model"}
    assert all(isinstance(model.created, int) and model.owned_by for model in models)


@pytest.mark.parametrize("name", ["characters", "random_bytes", "whole_characters"])
def test_one_is_told_of(client: Any, name: str) -> None:
    assert client.models.retrieve(name).id == name


def test_one_that_is_not_there_is_not_found(client: Any, create: Callable[..., Any]) -> None:
    for ask in (lambda: client.models.retrieve("no-such"), lambda: create(model="no-such")):
        with pytest.raises(openai.NotFoundError) as told:
            ask()
        assert told.value.code == "model_not_found"
        assert "no-such" in told.value.message


# ---- completions


@pytest.mark.parametrize("prompt", ["ab", "", "a" * 200, "日本🙂", [70, 20, 31], [1, 70, 20, 31]],
                         ids=["text", "empty", "long", "characters", "ids", "ids with bos"])
def test_a_prompt_is_text_or_ids(create: Callable[..., Any], lm: tinylm.LanguageModel, prompt: Any) -> None:
    completion = create(prompt)
    text = prompt if isinstance(prompt, str) else lm.tokenizer.decode(prompt)
    assert first(completion) == lm.generate(text, max_tokens=12, seed=7)
    assert (completion.object, completion.model, len(completion.choices)) == ("text_completion", "characters", 1)
    assert completion.id
    assert completion.created > 1.7e9
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


@pytest.mark.parametrize("prompts", [["ab"], ["ab", "cd", ""], [[70, 20], [31]]], ids=["one", "three", "ids"])
def test_prompts_may_be_many(create: Callable[..., Any], lm: tinylm.LanguageModel, prompts: list[Any]) -> None:
    texts = [each if isinstance(each, str) else lm.tokenizer.decode(each) for each in prompts]
    completion = create(prompts)
    expected = [lm.generate(text, max_tokens=12, seed=7) for text in texts]
    assert [choice.text for choice in completion.choices] == expected
    assert [choice.index for choice in completion.choices] == list(range(len(prompts)))


@pytest.mark.parametrize("n", [1, 3, 8])
def test_n(create: Callable[..., Any], lm: tinylm.LanguageModel, n: int) -> None:
    assert [choice.text for choice in create(n=n).choices] == lm.generate("ab", samples=n, max_tokens=12, seed=7)


@pytest.mark.parametrize("settings", [{"temperature": 0.5}, {"temperature": 2.0}, {"top_p": 0.5},
                                      {"presence_penalty": 1.5}, {"frequency_penalty": -1.0},
                                      {"temperature": 1.3, "top_p": 0.9, "frequency_penalty": 0.4}],
                         ids=str)
def test_settings_mean_what_they_mean_in_the_notebook(create: Callable[..., Any], lm: tinylm.LanguageModel,
                                                      settings: dict[str, float]) -> None:
    assert first(create(**settings)) == lm.generate("ab", max_tokens=12, seed=7, **settings)


def test_a_temperature_of_nothing_is_greedy(create: Callable[..., Any], lm: tinylm.LanguageModel) -> None:
    assert first(create(temperature=0)) == lm.generate("ab", max_tokens=12, greedy=True)


@pytest.mark.parametrize("settings", [{"top_k": 3}, {"min_p": 0.2}, {"repetition_penalty": 1.5},
                                      {"typical_p": 0.5}], ids=str)
def test_what_the_client_does_not_know_goes_through_its_extra_body(create: Callable[..., Any], lm: tinylm.LanguageModel,
                                                                   settings: dict[str, float]) -> None:
    assert first(create(extra_body=settings)) == lm.generate("ab", max_tokens=12, seed=7, **settings)


@pytest.mark.parametrize("bias", [{"70": 100}, {"70": 100, "20": 100}, {"70": -100, "2": -100}, {}], ids=str)
def test_logit_bias(create: Callable[..., Any], lm: tinylm.LanguageModel, bias: dict[str, int]) -> None:
    text = first(create(logit_bias=bias))
    if 100 in bias.values():
        assert {*text} <= {lm.tokenizer.token(int(id)) for id in bias}
    else:
        assert lm.tokenizer.token(70) not in text or not bias


def test_max_tokens(create: Callable[..., Any]) -> None:
    for most in (0, 1, 100):
        completion = create(max_tokens=most, logit_bias=BIAS)
        assert completion.usage.completion_tokens == most
        assert completion.choices[0].finish_reason == "length"


@pytest.mark.parametrize("count", [1, 2, 4])
def test_stop(create: Callable[..., Any], count: int) -> None:
    free = first(create(max_tokens=40, logit_bias=BIAS))
    stops = [free[20:22], free[10:13], free[30], free[5:9]][:count]
    completion = create(max_tokens=40, logit_bias=BIAS, stop=stops[0] if count == 1 else stops)
    assert first(completion) == free[:min(map(free.index, stops))]
    assert completion.choices[0].finish_reason == "stop"


def test_echo(create: Callable[..., Any]) -> None:
    assert first(create(echo=True)) == "ab" + first(create())
    assert [choice.text for choice in create(["x", "yz"], echo=True, max_tokens=0).choices] == ["x", "yz"]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_logprobs(create: Callable[..., Any], lm: tinylm.LanguageModel, count: int) -> None:
    completion = create(logprobs=count)
    told, expected = completion.choices[0].logprobs, lm.complete("ab", max_tokens=12, seed=7, logprobs=count).logprobs
    assert told.tokens == [each.token for each in expected]
    assert told.token_logprobs == pytest.approx([each.logprob for each in expected])
    assert "".join(told.tokens) == first(completion)
    assert told.text_offset == [sum(map(len, told.tokens[:place])) for place in range(len(told.tokens))]
    for top, each in zip(told.top_logprobs, expected, strict=True):
        best = {other.token: other.logprob for other in each.top}
        assert {token: top[token] for token in best} == pytest.approx(best)
        assert {*top} <= {*best, each.token}


def test_echo_with_logprobs_tells_of_the_prompt_too(create: Callable[..., Any]) -> None:
    """What measures a model by this API asks for nothing but the prompt's own probabilities."""
    told = create("abc", echo=True, logprobs=1, max_tokens=0).choices[0]
    assert told.text == "abc"
    assert told.logprobs.tokens == ["a", "b", "c"]
    assert all(logprob is None or logprob <= 0 for logprob in told.logprobs.token_logprobs)


def test_a_seed_repeats(create: Callable[..., Any]) -> None:
    text = first(create(seed=3, max_tokens=50))
    assert text == first(create(seed=3, max_tokens=50)) != first(create(seed=4, max_tokens=50))


def test_fields_that_mean_nothing_here_are_taken_or_named(create: Callable[..., Any]) -> None:
    assert first(create(user="somebody", best_of=1)) == first(create())
    for wrong in ({"suffix": "x"}, {"best_of": 3}):
        with pytest.raises(openai.BadRequestError) as told:
            create(**wrong)
        assert told.value.param == next(iter(wrong))


# ---- streams


def test_a_stream_has_the_whole_text(create: Callable[..., Any]) -> None:
    chunks = list(create(stream=True, max_tokens=200))
    assert "".join(map(first, chunks)) == first(create(max_tokens=200))
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert all(chunk.usage is None for chunk in chunks)


def test_what_the_chunks_of_a_stream_look_like(create: Callable[..., Any]) -> None:
    chunks = [chunk.model_dump() for chunk in create(stream=True, max_tokens=3, logit_bias={"70": 100},
                                                     stream_options={"include_usage": True})]
    base = {"id": chunks[0]["id"], "created": chunks[0]["created"], "model": "characters", "object": "text_completion"}
    for chunk in chunks:
        assert {name: chunk[name] for name in base} == base
    *told, usage = chunks
    assert usage["choices"] == []
    assert {name: usage["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")} == {
        "prompt_tokens": chunks[-1]["usage"]["prompt_tokens"], "completion_tokens": 3,
        "total_tokens": chunks[-1]["usage"]["prompt_tokens"] + 3}
    assert usage["usage"]["prompt_tokens"] in (2, 3)
    assert all(chunk["usage"] is None for chunk in told)
    choices = [chunk["choices"][0] for chunk in told]
    assert {frozenset(choice) for choice in choices} == {frozenset(("index", "text", "logprobs", "finish_reason"))}
    assert len({choice["text"] for choice in choices} - {""}) >= 1
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]


def test_choices_of_a_stream_are_told_apart(create: Callable[..., Any]) -> None:
    texts = dict.fromkeys(range(6), "")
    for chunk in create(["ab", "cd"], n=3, stream=True):
        texts[chunk.choices[0].index] += first(chunk)
    assert [*texts.values()] == [choice.text for choice in create(["ab", "cd"], n=3).choices]


def test_a_stream_with_logprobs_echo_and_stop(create: Callable[..., Any]) -> None:
    free = first(create(max_tokens=30, logit_bias=BIAS))
    fields = {"echo": True, "logprobs": 2, "stop": free[20:22], "max_tokens": 30, "logit_bias": BIAS}
    chunks, whole = list(create(stream=True, **fields)), create(**fields).choices[0]
    assert "".join(map(first, chunks)) == whole.text
    told = [chunk.choices[0].logprobs for chunk in chunks if chunk.choices[0].logprobs]
    assert [token for each in told for token in each.tokens] == whole.logprobs.tokens
    assert [place for each in told for place in each.text_offset] == whole.logprobs.text_offset


def test_a_stream_may_be_closed(create: Callable[..., Any], with_key: Server) -> None:
    with create(stream=True, max_tokens=4000, logit_bias=BIAS) as stream:
        assert first(next(stream))
    assert with_key.is_well()


def test_raw_answers_can_be_read(client: Any) -> None:
    raw = client.completions.with_raw_response.create(model="characters", prompt="ab", max_tokens=2)
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.parse().usage.completion_tokens <= 2


def test_the_client_for_asyncio(with_key: Server) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{with_key.url}/v1", api_key=KEY, max_retries=0) as client:
            async def one(number: int) -> str:
                stream = await client.completions.create(model="characters", prompt="ab", seed=number, stream=True,
                                                         max_tokens=50)
                return "".join([first(chunk) async for chunk in stream])

            return await asyncio.gather(*map(one, range(8)))

    texts = asyncio.run(ask())
    assert texts == [with_key.complete("ab", seed=number, max_tokens=50)["choices"][0]["text"] for number in range(8)]


# ---- errors


@pytest.mark.parametrize(("wrong", "param"), [({"max_tokens": -2}, "max_tokens"), ({"temperature": -1}, "temperature"),
            ({"n": 0}, "n"), ({"top_p": 2}, "top_p"), ({"logprobs": 6}, "logprobs"),
            ({"logit_bias": {"x": 1}}, "logit_bias.x"), ({"stop": ["a"] * 5}, "stop"),
            ({"extra_body": {"no_such": 1}}, "no_such"), ({"prompt": "☃"}, "prompt"),
            ({"presence_penalty": 3}, "presence_penalty")], ids=str)
def test_bad_requests(create: Callable[..., Any], wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        create(**wrong)
    assert told.value.param == param
    assert told.value.type == "invalid_request_error"


def test_a_wrong_key(with_key: Server) -> None:
    with openai.OpenAI(base_url=f"{with_key.url}/v1", api_key="wrong", max_retries=0) as client:
        for ask in (client.models.list, lambda: client.completions.create(model="characters", prompt="a")):
            with pytest.raises(openai.AuthenticationError):
                ask()


def test_a_path_that_is_not_there(client: Any) -> None:
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="characters", input="a")


def test_a_chat_is_refused_with_the_way_out(client: Any) -> None:
    with pytest.raises(openai.APIStatusError) as told:
        client.chat.completions.create(model="characters", messages=[{"role": "user", "content": "a"}])
    assert told.value.status_code in (400, 404)
    assert "/v1/completions" in told.value.message


def test_overload_is_its_own_error_and_is_tried_again(runs: Path) -> None:
    with Server(runs, "--texts", 1, "--queue", 0, "--max-tokens", 10_000_000) as server, \
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0) as client:
        ask = {"model": "characters", "prompt": "a", "max_tokens": 1}
        with client.completions.create(**{**ask, "max_tokens": 10_000_000}, stream=True, logit_bias=BIAS) as stream:
            next(stream)
            with pytest.raises(openai.RateLimitError) as told:
                client.completions.create(**ask)
            assert int(told.value.response.headers["retry-after"]) >= 1
        assert client.with_options(max_retries=5).completions.create(**ask).choices


def test_a_server_that_is_not_there() -> None:
    with openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="x", max_retries=0, timeout=5) as client, \
            pytest.raises(openai.APIConnectionError):
        client.models.list()
