"""A stream says what the whole answer says, in whole characters; a seed gives its text in any company (promise S9)."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tinylm

from .models import LETTERS
from .server import BIAS, Server, text_of

STOPS = ["a", "é", "🙂", "日本", "\ufffd", "e", "\n", "\x00", "語a", "🚀🚀"]


def some_request(chance: random.Random) -> dict[str, Any]:
    """A request that may come in both ways, with most things that change what is told."""
    model = chance.choice(["random_bytes", "whole_characters"])
    fields: dict[str, Any] = {"model": model, "seed": chance.randrange(2**31),
                              "prompt": "".join(chance.choices(LETTERS, k=chance.randint(0, 9))),
                              "max_tokens": chance.randint(1, 90), "temperature": chance.choice([0, 0.7, 1, 1.5])}
    if chance.random() < 0.5:
        fields["stop"] = chance.sample(STOPS, chance.randint(1, 3))
    if chance.random() < 0.3:
        fields["logit_bias"] = BIAS
    if chance.random() < 0.3:
        fields |= {"n": chance.randint(2, 4), "echo": chance.random() < 0.5}
    if chance.random() < 0.3:
        fields["logprobs"] = chance.randint(0, 5)
    return fields


def assert_same_both_ways(server: Server, count: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        fields = some_request(chance)
        whole, events = server.complete(**fields), server.stream(**fields, stream_options={"include_usage": True})
        assert events.pop() | {"id": "", "created": 0} == {**whole, "id": "", "created": 0, "choices": []}, fields
        for choice in whole["choices"]:
            assert choice == joined(events, choice["index"]), fields
            assert_whole(choice, [event["choices"][0]["text"] for event in events
                                  if event["choices"][0]["index"] == choice["index"]], fields)


def joined(events: list[Any], index: int) -> dict[str, Any]:
    """One choice as it would come whole."""
    parts = [choice for event in events for choice in event["choices"] if choice["index"] == index]
    reasons = [part["finish_reason"] for part in parts]
    assert all(reason is None for reason in reasons[:-1])
    told = [part["logprobs"] for part in parts if part["logprobs"]]
    logprobs = {name: [entry for one in told for entry in one[name]] for name in told[0]} if told else None
    return {"index": index, "text": "".join(part["text"] for part in parts), "logprobs": logprobs,
            "finish_reason": reasons[-1]}


def assert_whole(choice: dict[str, Any], pieces: list[str], fields: dict[str, Any]) -> None:
    """No piece begins or ends within a character: what is not in the text as a whole is in no piece."""
    assert sum(piece.count("\ufffd") for piece in pieces) == choice["text"].count("\ufffd")
    if fields["model"] == "whole_characters":  # it writes no half ones, so only the end may be cut, by max_tokens
        text = choice["text"].removeprefix(fields["prompt"])
        assert {*text.rstrip("\ufffd")} <= {*LETTERS}
        assert all("\ufffd" not in piece for piece in pieces[:-1]), pieces
        assert text.count("\ufffd") <= (choice["finish_reason"] == "length")


def test_a_hundred_streams_say_what_whole_answers_say(server: Server) -> None:
    assert_same_both_ways(server, 100, 1)


@pytest.mark.slow
def test_a_thousand_streams_say_what_whole_answers_say(server: Server) -> None:
    assert_same_both_ways(server, 1000, 2)


@pytest.mark.parametrize("name", ["characters", "random_bytes", "whole_characters"])
def test_they_say_what_the_notebook_says(server: Server, runs: Path, name: str) -> None:
    lm = tinylm.load(runs / name)
    for seed in range(8):
        for sampling in ({}, {"top_k": 5}, {"top_p": 0.8, "repetition_penalty": 1.2},
                         {"min_p": 0.1, "frequency_penalty": 0.5}, {"presence_penalty": 1.0, "typical_p": 0.7}):
            settings = {"max_tokens": 50, "seed": seed, "temperature": 0.9, **sampling}
            expected = lm.complete("a日", **settings)
            told = server.complete("a日", model=name, **settings)
            assert told["choices"][0]["text"] == expected.text
            assert told["usage"]["completion_tokens"] == len(expected.ids)
            assert told["choices"][0]["finish_reason"] == ("length" if expected.stopped_by == "length" else "stop")
            assert text_of(server.stream("a日", model=name, **settings)) == expected.text


def test_a_text_is_the_same_alone_and_in_company(server: Server) -> None:
    """Of nine that are written at the same time, each is what it is alone."""
    asked = [{"prompt": "abc"[:number % 4], "seed": number % 3, "max_tokens": 300 + 37 * number, "temperature": 1.2,
              "logit_bias": BIAS} for number in range(9)]
    alone = [server.complete(**fields)["choices"][0]["text"] for fields in asked]
    assert len({*alone}) == 9
    with ThreadPoolExecutor(9) as pool:
        for _ in range(3):
            together = list(pool.map(lambda fields: text_of(server.stream(**fields)), asked))
            assert together == alone


def test_the_texts_of_one_prompt_have_seeds_in_a_row(server: Server) -> None:
    texts = [server.complete("ab", seed=40 + number, max_tokens=30)["choices"][0]["text"] for number in range(4)]
    many = server.complete(["ab", "cd"], seed=40, n=4, max_tokens=30)["choices"]
    assert [choice["text"] for choice in many[:4]] == texts
    assert [choice["index"] for choice in many] == list(range(8))
    assert many[4]["text"] == server.complete("cd", seed=40, max_tokens=30)["choices"][0]["text"]


def test_without_a_seed_each_text_is_another(server: Server) -> None:
    assert len({server.complete("a", max_tokens=30)["choices"][0]["text"] for _ in range(5)}) == 5


def test_a_stream_comes_as_it_is_written(server: Server) -> None:
    """Not all of it at the end: the first piece is there while the text is being written."""
    with server.open() as connection:
        connection.sendall(server.request(server.fields(max_tokens=4000, n=16, stream=True, logit_bias=BIAS)))
        heard = connection.recv(65536)
        while b"data: " not in heard:
            heard += connection.recv(65536)
        assert b"[DONE]" not in heard
        assert server.running > 0


def test_what_goes_wrong_before_the_first_token_is_no_stream(server: Server) -> None:
    for wrong in ({"prompt": "☃"}, {"max_tokens": -2}, {"model": "no-such"}):
        reply = server.ask("/v1/completions", {**server.fields(stream=True), **wrong})
        assert reply.status in (400, 404)
        assert reply.headers["content-type"].startswith("application/json")
        assert reply.error["message"]


def test_a_stream_is_not_to_be_kept(server: Server) -> None:
    reply = server.ask("/v1/completions", server.fields(stream=True, max_tokens=1))
    assert "no-" in reply.headers["cache-control"]
    assert reply.headers["x-accel-buffering"] == "no"
