"""A text that begins as an earlier one did is not read anew, and is the same in every digit."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinylm
from tests import chat_models
from tests.chat_models import turns
from tinylm.config.schema import ModelConfig
from tinylm.engine.kv_cache import SequenceCache
from tinylm.generation import prefix_caches
from tinylm.generation.backend import Chunk, EngineBackend
from tinylm.generation.prefix_caches import MIN_SHARED, PrefixCaches


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    letters = tinylm.Tokenizer.train("char", [string.ascii_lowercase + string.digits + " ,?"])
    return chat_models.random(tmp_path_factory.mktemp("chat") / "random", letters, context_length=256)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of ids of each chunk that the engine reads."""
    counts: list[int] = []
    forward = EngineBackend.forward

    def counted(self: EngineBackend, chunks: list[Chunk]) -> object:
        counts.extend(len(chunk.ids) for chunk in chunks)
        return forward(self, chunks)

    monkeypatch.setattr(EngineBackend, "forward", counted)
    return counts


def alone(folder: Path, said: list[str], **fields: object) -> object:
    return tinylm.load(folder).chat.complete(turns(*said), logprobs=2, **fields)


def test_a_conversation_that_goes_on_is_not_read_anew(folder: Path, read: list[int]) -> None:
    lm, said = tinylm.load(folder), ["how are you today, my friend ?"]
    for number in range(4):
        del read[:]
        answer = lm.chat.complete(turns(*said), seed=number, max_tokens=12, logprobs=2)
        assert sum(count for count in read if count > 1) <= len(said[-1]) + 3  # marks, and the last id before
        assert answer == alone(folder, said, seed=number, max_tokens=12)
        said += [answer.text, f"and {number} more questions of some length ?"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(0, 30)), min_size=2, max_size=6))
def test_texts_with_a_common_beginning_are_what_they_are_alone(folder: Path, asked: list[tuple[int, int, int]]) -> None:
    """Whatever was written before: beginnings of one text that part somewhere, written together and one by one."""
    lm = _kept_over_examples(folder)
    text = "the quick brown fox jumps over the lazy dog and sleeps"
    prompts = [text[:length] + "abc"[:number] * 2 + text[:rest] for length, number, rest in asked]
    alone = [tinylm.load(folder).complete(each, seed=3, max_tokens=9, logprobs=1) for each in prompts]
    assert [lm.complete(each, seed=3, max_tokens=9, logprobs=1) for each in prompts] == alone
    assert lm.complete(prompts, seed=3, max_tokens=9, logprobs=1) == alone


def _kept_over_examples(folder: Path, kept: list[tinylm.LanguageModel] = []) -> tinylm.LanguageModel:  # noqa: B006
    if not kept:
        kept.append(tinylm.load(folder))
    return kept[0]


def test_caches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ModelConfig(vocab_size=9, d_model=8, n_layers=1, n_heads=1, d_mlp=8, context_length=64)
    caches = PrefixCaches()

    def keep(first: int, length: int = 40) -> None:
        cache = SequenceCache(config)
        cache.length = length
        caches.keep([first] * 64, cache)

    def holds(first: int, length: int = 64) -> int:
        found = caches.find([first] * length)
        return found.length if found else 0

    keep(1, MIN_SHARED - 1)
    assert holds(1) == 0
    monkeypatch.setattr(prefix_caches, "MAX_KEPT", 2)
    for first in (1, 2, 3):
        keep(first)
    assert [holds(1), holds(2, 30), holds(2, 30), holds(2), holds(2)] == [0, 29, 29, 40, 0]
    monkeypatch.setattr(prefix_caches, "MAX_BYTES", SequenceCache(config).n_bytes - 1)
    keep(4)
    assert holds(4) == 0


def test_a_copy_of_a_beginning_is_its_own() -> None:
    config = ModelConfig(vocab_size=9, d_model=8, n_layers=1, n_heads=1, d_mlp=8, context_length=64)
    cache = SequenceCache(config)
    cache.length, cache.keys[:], cache.values[:] = 40, 1.0, 2.0
    twin = cache.copy(20)
    twin.keys[:] = 0
    assert (twin.length, cache.length, cache.keys.min()) == (20, 40, 1.0)
    assert np.array_equal(twin.values[:, :, :20], cache.values[:, :, :20])
