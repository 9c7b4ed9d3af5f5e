"""What may come next, over HTTP: what `predict` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tinylm

from .server import Server


@pytest.mark.parametrize("model", ["characters", "random_bytes", "whole_characters"])
@pytest.mark.parametrize("prompt", ["", "a", "日本🙂", "aé" * 100])
def test_it_says_what_the_notebook_says(server: Server, runs: Path, model: str, prompt: str) -> None:
    lm = tinylm.load(runs / model)
    told = server.ask("/v1/next", {"model": model, "prompt": prompt, "top": 7}).json
    expected = lm.predict(prompt, top=7)
    assert (told["model"], told["prompt"], told["ids"]) == (model, prompt, lm.tokenizer.encode_prompt(prompt))
    assert [(each["id"], each["token"]) for each in told["next"]] == [(each.id, each.token) for each in expected]
    probabilities = [each.probability for each in expected]  # two processes may have compiled the engine apart
    assert [each["probability"] for each in told["next"]] == pytest.approx(probabilities, rel=1e-5)


def test_ids_and_nothing_are_prompts_too(server: Server) -> None:
    by_text = server.ask("/v1/next", {"model": server.model, "prompt": "ab"}).json
    assert server.ask("/v1/next", {"model": server.model, "prompt": by_text["ids"]}).json == by_text
    assert server.ask("/v1/next", {"model": server.model, "prompt": by_text["ids"][1:]}).json == by_text
    assert server.ask("/v1/next", {"model": server.model}).json["ids"] == [1]
    assert len(by_text["next"]) == 5


def test_all_of_them_together_are_certain(server: Server) -> None:
    told = server.ask("/v1/next", {"model": "random_bytes", "prompt": "a", "top": 1000}).json["next"]
    assert len(told) == 259
    assert sum(each["probability"] for each in told) == pytest.approx(1)
    assert [each["probability"] for each in told] == sorted((each["probability"] for each in told), reverse=True)


@pytest.mark.parametrize(("fields", "param"), [({"top": 0}, "top"), ({"top": 1001}, "top"),
            ({"prompt": [-1]}, "prompt.0"), ({"prompt": "☃"}, "prompt"), ({"prompt": [10**6]}, "prompt.0"),
            ({"prompt": ["a"]}, "prompt"), ({"temperature": 1}, "temperature")], ids=str)
def test_what_cannot_be_is_named(server: Server, fields: dict[str, Any], param: str) -> None:
    reply = server.ask("/v1/next", {"model": server.model, **fields})
    assert reply.status == 400
    assert reply.error["param"] == param


def test_weights_of_fewer_bits_are_served_if_asked_for(runs: Path) -> None:
    folder = runs / "characters"
    exact, rough = (tinylm.load(folder, weight_dtype=dtype).predict("a", top=5) for dtype in ("fp32", "int8"))
    with Server(folder, "--weight-dtype", "int8") as server:
        told = server.ask("/v1/next", {"model": server.model, "prompt": "a", "top": 5}).json["next"]
    probabilities = [each["probability"] for each in told]
    assert probabilities == pytest.approx([each.probability for each in rough], rel=1e-5)
    assert probabilities != pytest.approx([each.probability for each in exact], rel=1e-4)
