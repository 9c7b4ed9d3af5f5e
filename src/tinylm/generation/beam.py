"""Beam search: the likeliest whole text, as far as it can be found by following some beginnings at the same time.

At each place the `beams` likeliest beginnings go on with every possible id, and the likeliest of what results go on in
turn (Reddy 1977). A text that ends is judged by the sum of its log-probabilities, divided by its number of tokens to
the power of `length_penalty`: 0 prefers short texts, 1 compares their averages, more prefers long ones. What is found
and when the search ends is as in transformers, in all three kinds of `early_stopping`.

Chance has no part in it, so neither have temperature and filters. Bans, bias and forced ids hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError
from tinylm.generation.backend import Backend, Chunk
from tinylm.generation.completion import log_softmax
from tinylm.generation.context import ContextWindow, max_new_tokens
from tinylm.sampling.filters import Logits

NO_PENALTY = {"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}


class Hypothesis(NamedTuple):
    """A text that has ended, and its score."""

    ids: list[int]
    score: float


class Beam:
    """A beginning. `score`: the sum of the log-probabilities of its new ids. `unread`: ids that `cache` has yet to get.
    """

    def __init__(self, context: ContextWindow, cache: Any, new: list[int], score: float, unread: list[int]) -> None:
        self.context, self.cache, self.new, self.score, self.unread = context, cache, new, score, unread


class Candidate(NamedTuple):
    """How a beginning may go on."""

    score: float
    beam: Beam
    id: int


def beam_search(backend: Backend, ids: Sequence[int], config: SampleConfig, *, eos_id: int, bias: Logits,
                forced: Sequence[int] = ()) -> list[Hypothesis]:
    """The texts that follow a prompt, best first; at most `config.beams` of them.

    Args:
        ids: the prompt, at least one id.
        bias: (V,), what is added to the log-probabilities (`bias_of`).
        forced: the first ids (`forced_ids`).

    Raises:
        TinyLMError: penalties, which beams know nothing of; every token is banned; a damaged model; a prompt that is
            too long, where `overflow` is "error".
    """
    for name, nothing in NO_PENALTY.items():
        if getattr(config, name) != nothing:
            raise TinyLMError("a beam search has no penalties", where=f"sample.{name}",
                              remedy="Leave it out, or write without beams")
    most = max_new_tokens(config, ids, backend.limit)
    if most == 0:
        return [Hypothesis([], 0.0)]
    ends_not_yet = bias.copy()
    ends_not_yet[eos_id] = -np.inf
    context = ContextWindow(ids, backend.limit)
    running, ended = [Beam(context, backend.new_cache(), [], 0.0, list(context.visible))], list[Hypothesis]()
    for length in range(1, most + 1):
        allowed = ends_not_yet if length <= config.min_tokens else bias
        scores = [_scores(logits, length, allowed, forced) for logits in _read(backend, running)]
        going_on: list[Candidate] = []
        for rank, each in enumerate(_best(running, scores, 2 * config.beams)):
            if each.id != eos_id and length < most:
                going_on.append(each)
            elif rank < config.beams:  # one that ends counts only if it would have gone on
                ended.append(Hypothesis([*each.beam.new, each.id], each.score / length**config.length_penalty))
        going_on = going_on[:config.beams]
        ended = sorted(ended, key=lambda found: -found.score)[:config.beams]
        if not going_on or _is_decided(going_on[0].score, ended, length, most, config):
            break
        running = _go_on(backend, going_on)
    if not ended:
        raise TinyLMError("every token is banned", where="sample.banned_tokens", remedy="Ban fewer")
    return ended


def _is_decided(best: float, ended: Sequence[Hypothesis], length: int, most: int, config: SampleConfig) -> bool:
    """Whether as many texts have ended as there are beams, and none that goes on is expected to be better: where
    `early_stopping` is False, judged as if it ended here, and where it is "never", as if it ended where it is best."""
    if len(ended) < config.beams or config.early_stopping is True:
        return len(ended) == config.beams
    if config.early_stopping == "never" and config.length_penalty > 0:
        length = most
    return best / length**config.length_penalty <= ended[-1].score


def _read(backend: Backend, beams: Sequence[Beam]) -> list[Logits]:
    """What follows each; one that has slid, and the prompt, are read in blocks first."""
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
    """(V,): log-probabilities, and -inf for what must not come in this place."""
    shares = log_softmax(logits)
    if length > len(forced):
        return shares + bias
    only = np.full_like(shares, -np.inf)
    only[forced[length - 1]] = shares[forced[length - 1]]
    return only


def _best(beams: Sequence[Beam], scores: Sequence[NDArray[np.float64]], count: int) -> list[Candidate]:
    """The likeliest ways to go on, best first; of equals the one of the better beam, and of the lower id."""
    sums = np.concatenate([beam.score + some for beam, some in zip(beams, scores, strict=True)])
    count = min(count, len(sums))
    places = np.sort(np.argpartition(-sums, count - 1)[:count])
    places = places[np.argsort(-sums[places], kind="stable")]
    size = len(scores[0])
    return [Candidate(float(sums[place]), beams[place // size], int(place % size)) for place in places
            if sums[place] > -np.inf]


def _go_on(backend: Backend, chosen: Sequence[Candidate]) -> list[Beam]:
    """The beams of the next place. The first child of a beam takes over its cache, each further one a copy."""
    copies = [backend.copy_cache(each.beam.cache) if any(each.beam is other.beam for other in chosen[:number])
              else each.beam.cache for number, each in enumerate(chosen)]
    beams = []
    for each, cache in zip(chosen, copies, strict=True):
        context = each.beam.context.copy()
        slid = context.extend(each.id)
        beams.append(Beam(context, backend.new_cache() if slid else cache, [*each.beam.new, each.id], each.score,
                          list(context.visible) if slid else [each.id]))
    return beams
