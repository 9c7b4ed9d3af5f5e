"""What the OpenAPI page says is so: schemathesis asks what it allows and what it forbids (promise S5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("schemathesis")

import tinylm
from benchmarks.serving import conformity
from tests import chat_models

from .server import Server, paths_of_the_application


@pytest.fixture(scope="module")
def every_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_models.random(tmp_path_factory.mktemp("chats") / "random", context_length=512)


@pytest.fixture(scope="module")
def knows_every_text(every_text: Path) -> Iterator[Server]:
    """A model of bytes that chats, by itself: there is no text that it does not know. Its own texts are short."""
    with Server(every_text, "--max-tokens", 32) as server:
        yield server


def test_the_page_tells_of_every_route(knows_every_text: Server) -> None:
    page = knows_every_text.ask("/openapi.json").json
    assert page["openapi"].startswith("3.")
    assert {*paths_of_the_application()} - {"/"} <= {*page["paths"]}
    fields = page["components"]["schemas"]["CompletionRequest"]["properties"]
    assert {"prompt", "max_tokens", "n", "logprobs", "echo", "stop", "seed", "logit_bias", "stream"} <= {*fields}


def test_a_hundred_examples_of_each_operation(knows_every_text: Server) -> None:
    told = conformity(knows_every_text.url, 100)
    assert told["failures"] == 0, told["said"]
    assert knows_every_text.is_well()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_thousand_examples_of_each_operation(knows_every_text: Server) -> None:
    told = conformity(knows_every_text.url, 1000)
    assert told["failures"] == 0, told["said"]
    assert knows_every_text.is_well()


def test_the_page_says_which_keys_a_bias_may_have(knows_every_text: Server, every_text: Path) -> None:
    schemas = knows_every_text.ask("/openapi.json").json["components"]["schemas"]
    bias, _ = schemas["CompletionRequest"]["properties"]["logit_bias"]["anyOf"]
    (pattern, _), = bias["patternProperties"].items()
    most = tinylm.load(every_text).tokenizer.vocab_size - 1
    assert bias["additionalProperties"] is False
    assert [bool(re.search(pattern, str(id))) for id in (0, 1, most, most + 1, 10 * most, -1, "01", "x")] == [
        True, True, True, False, False, False, False, False]
