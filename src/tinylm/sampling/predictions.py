"""Predictions: the likeliest next tokens, from the logits of one position. Axis letter: V vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # the filters are compiled, and reading logits does not need them
    from tinylm.sampling.filters import Logits


class Prediction(NamedTuple):
    """A possible next token.

    Attributes:
        id: its number in the vocabulary.
        token: its text.
        probability: from 0 to 1, of the model itself, before temperature and filters.

    >>> lm.predict("hello , how are", top=1)[0].token
    'you'
    """

    id: int
    token: str
    probability: float


def likeliest(logits: Logits, top: int, tokenizer: Tokenizer) -> list[Prediction]:
    """The `top` likeliest next tokens, from the logits (V,), best first.

    >>> likeliest(np.float32([0, 0, 0, 0, 9, 0]), 1, tinylm.Tokenizer.train("char", ["abc"]))[0].token
    'b'
    """
    probs = np.exp(log_softmax(logits))
    return [Prediction(id, tokenizer.token(id), float(probs[id])) for id in top_ids(logits, top)]


def log_softmax(logits: Logits) -> NDArray[np.float64]:
    """The natural logarithms of the model's own probabilities, before any filter, (V,) -> (V,)."""
    wide = logits.astype(np.float64)  # the difference of two large numbers may be beyond 32 bits
    shifted = wide - wide.max()
    found: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return found


def top_ids(logits: Logits, count: int) -> list[int]:
    """The ids of the `count` largest logits (V,), best first; among equals the lowest id first."""
    if count == 0:
        return []
    least = np.partition(logits, -count)[-count] if count < len(logits) else -np.inf
    able = np.flatnonzero(logits >= least)  # sorting all would take longer than the model itself
    found: list[int] = able[np.argsort(-logits[able], kind="stable")[:count]].tolist()
    return found
