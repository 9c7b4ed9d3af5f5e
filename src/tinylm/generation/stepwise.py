"""What a model says of a text that is there already, a little at a time: whoever asks may do other things in between.

    steps = logits_stepwise(reader, ids)          what follows, as `Window.logits`
    steps = logprobs_stepwise(reader, ids, ...)   how likely each id was held

Both are generators that yield nothing after each piece of work, and return what they found.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from tinylm.errors import TinyLMError
from tinylm.generation.completion import TokenLogprobs, logprobs_of
from tinylm.generation.logits import Logits
from tinylm.generation.readers import Piece, Reader
from tinylm.generation.window import View
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
    """How likely the model held each of the ids after the first, and the `top` likeliest in its place.

    Raises:
        TinyLMError: there are more than the model sees at once; or it is damaged.
    """
    if len(ids) > reader.limit:
        raise TinyLMError(f"the prompt has {len(ids):,} tokens, <bos> counted, and this model sees {reader.limit:,} at "
                          "once", where="prompt", remedy="Shorten it, or ask without log-probabilities")
    past, size = reader.begin(), min(LONGEST, reader.block)
    scored: list[TokenLogprobs] = []
    for start in range(0, len(ids) - 1, size):
        block = [*ids[start:start + size], *ids[start + size:start + size + 1]]
        rows = [row.copy() for row in _found(reader, [Piece(past, [id], True) for id in block[:-1]])]
        yield
        for place, (row, id) in enumerate(zip(rows, block[1:], strict=True), start=1):
            scored.append(logprobs_of(row, id, top, tokenizer))
            if place % FEW == 0:
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
