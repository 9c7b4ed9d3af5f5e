"""What is found a little at a time is what is found at once, and a text is scored as it would have been written."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import numpy as np
import pytest

from tests.generation.hf_reference import make_lm
from tinylm.errors import TinyLMError
from tinylm.generation import scoring
from tinylm.generation.backend import Chunk, EngineBackend
from tinylm.generation.completion import TokenLogprobs
from tinylm.lm import LanguageModel

Hypothesis = TypeVar("Hypothesis")


def result(steps: Generator[None, None, Hypothesis]) -> Hypothesis:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Hypothesis = end.value
            return found


def ids_of(lm: LanguageModel, count: int) -> list[int]:
    return [1, *np.random.default_rng(count).integers(3, lm.tokenizer.vocab_size, count).tolist()]


def forced(lm: LanguageModel, ids: list[int], top: int) -> list[TokenLogprobs]:
    """What is noted while these very ids are written."""
    request, = lm.generator.requests(ids[:1], logprobs=top, max_tokens=len(ids) - 1,
                                     force=tuple(f"#{id}" for id in ids[1:]))
    list(lm.generator.stream_request(request))
    return request.builder.logprobs


@pytest.mark.parametrize("kind", ["char", "bpe"])
@pytest.mark.parametrize("count", [0, 1, 5, 22, 23, 24, 25, 100])
def test_a_text_is_scored_as_if_it_had_been_written(kind: str, count: int) -> None:
    """Also where it is longer than the 24 tokens that the model sees."""
    lm = make_lm(kind)
    ids = ids_of(lm, count)
    scored = result(lm.generator.score_stepwise(ids, 2))
    assert [each.id for each in scored] == ids[1:]
    assert scored == (forced(lm, ids, 2) if count else [])


def test_pieces_of_any_size_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = make_lm("char")
    ids = ids_of(lm, 60)
    whole = result(lm.generator.score_stepwise(ids, 1)), result(lm.generator.predict_stepwise(ids, 3))
    for size in (1, 2, 7):
        monkeypatch.setattr(scoring, "MAX_CHUNK", size)
        assert (result(lm.generator.score_stepwise(ids, 1)), result(lm.generator.predict_stepwise(ids, 3))) == whole


@pytest.mark.parametrize("prompt", ["", "the cat", "the cat sat on the mat the cat sat on the mat"])
def test_a_prediction_is_that_of_predict(prompt: str) -> None:
    lm = make_lm("char")
    assert result(lm.generator.predict_stepwise(lm.tokenizer.encode_prompt(prompt), 5)) == lm.predict(prompt, 5)


def test_torch_scores_alike() -> None:
    lm, other = make_lm("char"), make_lm("char")
    assert other.model.embed.weight is not None
    other.model.embed.weight.data += 0  # as it was loaded
    other.generator.model.device = "elsewhere"  # torch writes
    assert (lm.served_by, other.served_by) == ("engine", "torch")
    ids = ids_of(lm, 40)
    ours, theirs = (result(each.generator.score_stepwise(ids, 0)) for each in (lm, other))
    assert np.allclose([each.logprob for each in ours], [each.logprob for each in theirs], atol=1e-5)


def test_a_damaged_model_is_an_error() -> None:
    lm = make_lm("char")
    assert lm.generator.model.weights is not None
    lm.generator.model.weights["embed.weight"][5] = np.nan
    for steps in (lm.generator.score_stepwise([1, 5, 6], 1), lm.generator.predict_stepwise([1, 5], 1)):
        with pytest.raises(TinyLMError, match="not finite"):
            result(steps)


def test_one_bad_number_spoils_no_other_text_of_a_call() -> None:
    """Several ids of one cache in a call, all of which ask, beside one that is damaged."""
    lm = make_lm("char", positions="learned")
    sound = result(lm.generator.score_stepwise([1, 6, 7, 8], 1))
    backend = lm.generator.model.backend()
    assert isinstance(backend, EngineBackend)
    assert lm.generator.model.weights is not None
    bad = make_lm("char", positions="learned")
    assert bad.generator.model.weights is not None
    bad.generator.model.weights["embed.weight"][5] = np.nan
    backend = bad.generator.model.backend()
    cache, other = backend.new_cache(), backend.new_cache()
    chunks = [Chunk(cache, [1], True), Chunk(other, [5], True), Chunk(cache, [6], True), Chunk(cache, [7], True)]
    found = backend.forward(chunks)
    assert isinstance(found[1], TinyLMError)
    rows = [each for each in found if isinstance(each, np.ndarray)]
    assert [float(_log_softmax(row)[id]) for row, id in zip(rows, (6, 7, 8), strict=True)] == [
        each.logprob for each in sound]


def _log_softmax(row: np.ndarray) -> np.ndarray:
    from tinylm.sampling.predictions import log_softmax

    return log_softmax(row)
