"""Scoring: the logits after a text, and the log-probability of each of its tokens, computed a piece at a time.

    steps = logits_stepwise(backend, ids)          the logits after all ids
    steps = logprobs_stepwise(backend, ids, ...)   the log-probability of each id

Both are generators that yield None after each piece of work and return their result, so that a server can do other
things in between. `last` exhausts such a generator where nobody waits.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

from tinylm.errors import TinyLMError
from tinylm.generation.backend import Backend, Chunk
from tinylm.generation.completion import TokenLogprobs, logprobs_of
from tinylm.generation.context import ContextWindow
from tinylm.sampling.filters import Logits
from tinylm.text.tokenizer import Tokenizer

Result = TypeVar("Result")
MAX_CHUNK = 128
"""Positions of a piece of work, where the backend could do more at once."""
SCORES_PER_YIELD = 16
"""Rows of logits that are turned into log-probabilities between two yields."""


def last(steps: Generator[object, None, Result]) -> Result:
    """Exhausts a generator. Returns what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def next_logits(backend: Backend, ids: Sequence[int]) -> Logits:
    """The logits (V,) after these ids, without a pause. Raises: as `logits_stepwise`."""
    return last(logits_stepwise(backend, ids, max_chunk=backend.block))


def logits_stepwise(backend: Backend, ids: Sequence[int], max_chunk: int = 0) -> Generator[None, None, Logits]:
    """The logits (V,) after these ids, as far as they are visible in the context window.

    Args:
        max_chunk: the largest number of positions of a piece of work; 0: `MAX_CHUNK`.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """
    visible, cache = ContextWindow(ids, backend.limit).visible, backend.new_cache()
    size = min(max_chunk or MAX_CHUNK, backend.block)
    for start in range(0, len(visible), size):
        found = _forward(backend, [Chunk(cache, visible[start:start + size], start + size >= len(visible))])
        rows = [row.copy() for row in found]
        yield
    return rows[0]


def logprobs_stepwise(backend: Backend, ids: Sequence[int], top: int,
                      tokenizer: Tokenizer) -> Generator[None, None, list[TokenLogprobs]]:
    """The log-probability of each id after the first, with the same context as if the model had generated the ids.

    Args:
        top: so many alternatives are given for each id, the likeliest first.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """
    text, size = ContextWindow(ids[:1], backend.limit), min(MAX_CHUNK, backend.block)
    scored: list[TokenLogprobs] = []
    while len(text.ids) < len(ids):
        cache, seen = backend.new_cache(), text.visible[:-1]
        for start in range(0, len(seen), size):
            _forward(backend, [Chunk(cache, seen[start:start + size], False)])
            yield
        slides = False
        while not slides and len(text.ids) < len(ids):
            count = min(size, backend.limit - len(text.visible) + 1)
            targets = ids[len(text.ids):len(text.ids) + count]
            inputs = [text.ids[-1], *targets[:-1]]
            rows = [row.copy() for row in _forward(backend, [Chunk(cache, [id], True) for id in inputs])]
            yield
            for row, id in zip(rows, targets, strict=True):
                scored.append(logprobs_of(row, id, top, tokenizer))
                slides = text.extend(id)
                if len(scored) % SCORES_PER_YIELD == 0:
                    yield
    return scored


def _forward(backend: Backend, chunks: list[Chunk]) -> list[Logits]:
    """The logits of the chunks that want them. Raises: TinyLMError: those of one of them are not finite."""
    found: list[Logits] = []
    for each in backend.forward(chunks):
        if isinstance(each, TinyLMError):
            raise each
        if each is not None:
            found.append(each)
    return found
