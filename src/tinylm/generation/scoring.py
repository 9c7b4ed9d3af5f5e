"""What a model says of a text that is there already, a little at a time: whoever asks may do other things in between.

    steps = logits_stepwise(reader, ids)          what follows, as `Window.logits`
    steps = logprobs_stepwise(reader, ids, ...)   how likely each id was held

Both are generators that yield nothing after each piece of work, and return what they found.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from tinylm.errors import TinyLMError
from tinylm.generation.backend import Piece, Reader
from tinylm.generation.completion import TokenLogprobs, logprobs_of
from tinylm.generation.context import View
from tinylm.sampling.filters import Logits
from tinylm.text.tokenizer import Tokenizer

LONGEST = 128
"""Positions of a piece of work, where the reader could do more at once."""
FEW = 16
"""Logits looked at between two breaks."""


def logits_stepwise(reader: Reader, ids: Sequence[int]) -> Generator[None, None, Logits]:
    """The logits (V,) after these ids, of which a model sees as many as it can.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """
    view, past, size = View(ids, reader.limit).view, reader.begin(), min(LONGEST, reader.block)
    for start in range(0, len(view), size):
        found = _found(reader, [Piece(past, view[start:start + size], start + size >= len(view))])
        last = [row.copy() for row in found]
        yield
    return last[0]


def logprobs_stepwise(reader: Reader, ids: Sequence[int], top: int,
                      tokenizer: Tokenizer) -> Generator[None, None, list[TokenLogprobs]]:
    """How likely the model held each of the ids after the first, and the `top` likeliest in its place, with as much in
    view as if it had written them itself.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """
    text, size = View(ids[:1], reader.limit), min(LONGEST, reader.block)
    scored: list[TokenLogprobs] = []
    while len(text.ids) < len(ids):
        past, seen = reader.begin(), text.view[:-1]
        for start in range(0, len(seen), size):
            _found(reader, [Piece(past, seen[start:start + size], False)])
            yield
        slides = False
        while not slides and len(text.ids) < len(ids):
            room = min(size, reader.limit - len(text.view) + 1)
            targets = ids[len(text.ids):len(text.ids) + room]
            inputs = [text.ids[-1], *targets[:-1]]
            rows = [row.copy() for row in _found(reader, [Piece(past, [id], True) for id in inputs])]
            yield
            for row, id in zip(rows, targets, strict=True):
                scored.append(logprobs_of(row, id, top, tokenizer))
                slides = text.extend(id)
                if len(scored) % FEW == 0:
                    yield
    return scored


def _found(reader: Reader, pieces: list[Piece]) -> list[Logits]:
    """What follows the pieces that ask."""
    found: list[Logits] = []
    for each in reader.read(pieces):
        if isinstance(each, TinyLMError):
            raise each
        if each is not None:
            found.append(each)
    return found
