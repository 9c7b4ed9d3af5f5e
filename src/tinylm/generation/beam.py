"""Beam search: the likeliest whole text, approximately, by following several partial texts side by side.

At each step each of the `beams` partial texts is continued with every id, and the best `beams` of the continuations go
on (Reddy 1977). A text that has ended is a hypothesis; its score is the sum of its log-probabilities, divided by its
number of tokens to the power of `length_penalty`: 0 favours short texts, 1 compares averages, more favours long ones.
The hypotheses and the end of the search are those of transformers, for all three kinds of `early_stopping`.

A beam search draws nothing at random, so temperature and filters have no part in it. Bans, bias and forced ids hold.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError
from tinylm.generation.backend import Backend, Chunk
from tinylm.generation.context import ContextWindow, max_new_tokens
from tinylm.sampling.filters import Logits
from tinylm.sampling.predictions import log_softmax

NO_PENALTY = {"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}


class Hypothesis(NamedTuple):
    """The ids of a text that has ended, and its score."""

    ids: list[int]
    score: float


@dataclass
class Beam:
    """A partial text.

    Attributes:
        context: its context window.
        cache: the backend's key/value cache of the visible ids.
        new: the ids after the prompt.
        score: the sum of their log-probabilities.
        unread: the visible ids that `cache` does not hold yet.
    """

    context: ContextWindow
    cache: Any
    new: list[int]
    score: float
    unread: list[int]


class Candidate(NamedTuple):
    """A continuation of a beam by one id, and its score."""

    score: float
    beam: Beam
    id: int


def beam_search(backend: Backend, ids: Sequence[int], config: SampleConfig, *, ends: Collection[int], bias: Logits,
                forced: Sequence[int] = ()) -> list[Hypothesis]:
    """The hypotheses after a prompt, best first; at most `config.beams` of them.

    Args:
        ids: the prompt, at least one id.
        bias: (V,), added to the log-probabilities (`bias_of`).
        forced: the first ids (`forced_ids`).

    Raises:
        TinyLMError: penalties, which a beam search does not have; every token is banned; a damaged model; a prompt that
            is too long, where `overflow` is "error".
    """
    for name, nothing in NO_PENALTY.items():
        if getattr(config, name) != nothing:
            raise TinyLMError("a beam search has no penalties", where=f"sample.{name}",
                              remedy="Leave it out, or write without beams")
    max_new = max_new_tokens(config, ids, backend.limit)
    if max_new == 0:
        return [Hypothesis([], 0.0)]
    bias_without_eos = bias.copy()
    bias_without_eos[[*ends]] = -np.inf
    context = ContextWindow(ids, backend.limit)
    beams, finished = [Beam(context, backend.new_cache(), [], 0.0, list(context.visible))], list[Hypothesis]()
    for length in range(1, max_new + 1):
        allowed = bias_without_eos if length <= config.min_tokens else bias
        scores = [_scores(logits, length, allowed, forced) for logits in _forward(backend, beams)]
        candidates: list[Candidate] = []
        for rank, each in enumerate(_best(beams, scores, 2 * config.beams)):
            if each.id not in ends and length < max_new:
                candidates.append(each)
            elif rank < config.beams:  # a text that ends counts only if it would have gone on
                finished.append(Hypothesis([*each.beam.new, each.id], each.score / length**config.length_penalty))
        candidates = candidates[:config.beams]
        finished = sorted(finished, key=lambda hypothesis: -hypothesis.score)[:config.beams]
        if not candidates or _is_decided(candidates[0].score, finished, length, max_new, config):
            break
        beams = _continue(backend, candidates)
    if not finished:
        raise TinyLMError("every token is banned", where="sample.banned_tokens", remedy="Ban fewer")
    return finished


def _is_decided(best: float, finished: Sequence[Hypothesis], length: int, max_new: int, config: SampleConfig) -> bool:
    """True if there are as many hypotheses as beams, and no beam is expected to become a better one.

    The best beam is judged as if it ended now, where `early_stopping` is False; and as if it ended at the length that
    is best for its score, where that is "never".
    """
    if len(finished) < config.beams or config.early_stopping is True:
        return len(finished) == config.beams
    if config.early_stopping == "never" and config.length_penalty > 0:
        length = max_new
    return best / length**config.length_penalty <= finished[-1].score


def _forward(backend: Backend, beams: Sequence[Beam]) -> list[Logits]:
    """The logits (V,) after each beam. The prompt, and a beam whose window has slid, are read in blocks first."""
    for beam in beams:
        while len(beam.unread) > 1:
            some = beam.unread[:-1][:backend.block]
            backend.forward([Chunk(beam.cache, some, False)])
            beam.unread = beam.unread[len(some):]
    logits = []
    for found in backend.forward([Chunk(beam.cache, beam.unread, True) for beam in beams]):
        if isinstance(found, TinyLMError):
            raise found
        assert found is not None
        logits.append(found)
    return logits


def _scores(logits: Logits, length: int, bias: Logits, forced: Sequence[int]) -> NDArray[np.float64]:
    """The log-probabilities (V,) of the id at position `length`, with the bias; -inf for an id that must not come."""
    logprobs = log_softmax(logits)
    if length > len(forced):
        return logprobs + bias
    only = np.full_like(logprobs, -np.inf)
    only[forced[length - 1]] = logprobs[forced[length - 1]]
    return only


def _best(beams: Sequence[Beam], scores: Sequence[NDArray[np.float64]], count: int) -> list[Candidate]:
    """The `count` likeliest candidates, best first; among equals that of the better beam, then the lower id."""
    sums = np.concatenate([beam.score + some for beam, some in zip(beams, scores, strict=True)])
    count = min(count, len(sums))
    order = np.sort(np.argpartition(-sums, count - 1)[:count])
    order = order[np.argsort(-sums[order], kind="stable")]
    size = len(scores[0])
    return [Candidate(float(sums[index]), beams[index // size], int(index % size)) for index in order
            if sums[index] > -np.inf]


def _continue(backend: Backend, candidates: Sequence[Candidate]) -> list[Beam]:
    """The beams of the next step. The first child of a beam takes over its cache, each further child gets a copy."""
    caches = [backend.copy_cache(each.beam.cache) if any(each.beam is other.beam for other in candidates[:number])
              else each.beam.cache for number, each in enumerate(candidates)]
    beams = []
    for each, cache in zip(candidates, caches, strict=True):
        context = each.beam.context.copy()
        slid = context.extend(each.id)
        beams.append(Beam(context, backend.new_cache() if slid else cache, [*each.beam.new, each.id], each.score,
                          list(context.visible) if slid else [each.id]))
    return beams
