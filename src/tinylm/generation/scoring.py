"""What a model says of a text that is there already, a little at a time: whoever asks may do other things in between.

    steps = logits_stepwise(backend, ids)          what follows, as `Decoder.logits`
    steps = logprobs_stepwise(backend, ids, ...)   how likely each id was held

Both are generators that yield nothing after each chunk of work, and return what they found.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from tinylm.errors import TinyLMError
from tinylm.generation.backend import Backend, Chunk
from tinylm.generation.completion import TokenLogprobs, logprobs_of
from tinylm.generation.context import ContextWindow
from tinylm.sampling.filters import Logits
from tinylm.text.tokenizer import Tokenizer

MAX_CHUNK = 128
"""Positions of a chunk of work, where the backend could do more at once."""
SCORES_PER_YIELD = 16
"""Logits looked at between two breaks."""


def logits_stepwise(backend: Backend, ids: Sequence[int]) -> Generator[None, None, Logits]:
    """The logits (V,) after these ids, of which a model sees as many as it can.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """
    visible, cache, size = ContextWindow(ids, backend.limit).visible, backend.new_cache(), min(MAX_CHUNK, backend.block)
    for start in range(0, len(visible), size):
        found = _found(backend, [Chunk(cache, visible[start:start + size], start + size >= len(visible))])
        last = [row.copy() for row in found]
        yield
    return last[0]


def logprobs_stepwise(backend: Backend, ids: Sequence[int], top: int,
                      tokenizer: Tokenizer) -> Generator[None, None, list[TokenLogprobs]]:
    """How likely the model held each of the ids after the first, and the `top` likeliest in its place, with as much in
    view as if it had written them itself.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """
    text, size = ContextWindow(ids[:1], backend.limit), min(MAX_CHUNK, backend.block)
    scored: list[TokenLogprobs] = []
    while len(text.ids) < len(ids):
        cache, seen = backend.new_cache(), text.visible[:-1]
        for start in range(0, len(seen), size):
            _found(backend, [Chunk(cache, seen[start:start + size], False)])
            yield
        slides = False
        while not slides and len(text.ids) < len(ids):
            room = min(size, backend.limit - len(text.visible) + 1)
            targets = ids[len(text.ids):len(text.ids) + room]
            inputs = [text.ids[-1], *targets[:-1]]
            rows = [row.copy() for row in _found(backend, [Chunk(cache, [id], True) for id in inputs])]
            yield
            for row, id in zip(rows, targets, strict=True):
                scored.append(logprobs_of(row, id, top, tokenizer))
                slides = text.extend(id)
                if len(scored) % SCORES_PER_YIELD == 0:
                    yield
    return scored


def _found(backend: Backend, chunks: list[Chunk]) -> list[Logits]:
    """What follows the chunks that ask."""
    found: list[Logits] = []
    for each in backend.forward(chunks):
        if isinstance(each, TinyLMError):
            raise each
        if each is not None:
            found.append(each)
    return found
