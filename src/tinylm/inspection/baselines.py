"""What plain counting achieves on the same text: three predictors that a trained model must beat to have learned more,
and a compressor.

Ids are any sequence of integers from 0 up to vocab_size, an array on disk included. The results of counting are sums of
-ln(probability) over all the validation ids, in nats: divide by their number for the loss a token, or by ln 2 and the
bytes of their text for bits a byte.

Contexts come from the validation ids alone: the first of them is predicted from no context (the unigram), the second
from one id, and so on. Nothing is learned from the validation ids along the way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import zstandard
from numpy.typing import NDArray

Ids = Sequence[int] | NDArray[np.integer]
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]

LONGEST = 12
"""The longest n-gram that is tried when the order is chosen."""

PATIENCE = 3
"""Orders tried in vain before that: what two tokens back does not tell, three back may."""


def uniform(vocab_size: int, n_tokens: int) -> float:
    """Every token equally likely: the loss of a model that has learned nothing. In nats, over `n_tokens`."""
    return n_tokens * math.log(vocab_size)


def unigram(train_ids: Ids, validation_ids: Ids, vocab_size: int) -> float:
    """Each token as likely as it is frequent, with one added to every count so that none is impossible. In nats."""
    counts = np.bincount(_ints(train_ids), minlength=vocab_size) + 1.0
    losses = np.log(counts.sum()) - np.log(counts)
    return float(losses[_ints(validation_ids)].sum())


def ngram(train_ids: Ids, validation_ids: Ids, vocab_size: int, order: int | None = None) -> float:
    """An interpolated n-gram: each token from the `order - 1` before it. In nats.

    The share of what followed a context is mixed with the prediction from the context one shorter, down to the uniform
    distribution, with Witten and Bell's weights (1991, "The zero-frequency problem"): a context that was followed by
    many different tokens is trusted less.

    Args:
        order: n; None chooses it with `best_order`.
    """
    order = best_order(train_ids, vocab_size) if order is None else order
    losses = _losses_by_order(_ints(train_ids), _ints(validation_ids), vocab_size)
    return next(islice(losses, order - 1, None))


def best_order(train_ids: Ids, vocab_size: int) -> int:
    """The n at which an n-gram of the first nine tenths of `train_ids` best predicts their last tenth."""
    ids = _ints(train_ids)
    cut = len(ids) - len(ids) // 10
    best, least = 1, math.inf
    for order, loss in enumerate(islice(_losses_by_order(ids[:cut], ids[cut:], vocab_size), LONGEST), start=1):
        if loss < least:
            best, least = order, loss
        elif order - best == PATIENCE:  # longer contexts only become rarer
            break
    return best


def compressor(train: bytes, validation: bytes) -> float:
    """What zstd at level 19 makes of the validation text after it has read the training text. In bits a byte.

    The training text is its dictionary, as raw content: any earlier passage can be referred to. xz, which can refer as
    far, is smaller by 1% and takes five times as long. Time: a second for a megabyte, and it grows a little faster than
    the text does.
    """
    known = zstandard.ZstdCompressionDict(train, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    settings = zstandard.ZstdCompressionParameters.from_level(
        19, source_size=len(validation), dict_size=len(train), write_content_size=False, write_dict_id=False)
    packed = zstandard.ZstdCompressor(dict_data=known, compression_params=settings).compress(validation)
    return 8 * len(packed) / max(1, len(validation))


@dataclass(frozen=True)
class _Contexts:
    """For each position of a text, the number of the n-gram that ends there; -1 where there is none or it is unknown.

    Two positions have the same number exactly where their last n ids are the same: numbers are ranks among the sorted
    n-grams of the training text, so there are no hashes and no collisions.
    """

    train: _Ints
    validation: _Ints


def _losses_by_order(train: _Ints, validation: _Ints, vocab_size: int) -> Iterator[float]:
    """The nats of the 1-gram, the 2-gram, ...: each order is one more refinement of the same probabilities."""
    probs: _Floats = np.full(len(validation), 1 / vocab_size)
    # The empty n-gram, number 0, ends everywhere, before the first id too.
    contexts = _Contexts(np.zeros(len(train), np.int64), np.zeros(len(validation), np.int64))
    while True:
        contexts = _lengthen(contexts, train, validation, vocab_size, probs)
        yield float(-np.log(probs).sum())
        contexts = _Contexts(_shift(contexts.train), _shift(contexts.validation))


def _shift(numbers: _Ints) -> _Ints:
    """From "the n-gram that ends here" to "the n-gram that ends just before": the context of the token here."""
    shifted = np.empty_like(numbers)
    shifted[:1], shifted[1:] = -1, numbers[:-1]
    return shifted


def _lengthen(contexts: _Contexts, train: _Ints, validation: _Ints, vocab_size: int, probs: _Floats) -> _Contexts:
    """Refines `probs` of the validation ids in place by their contexts; returns the contexts grown by one id."""
    has_context = contexts.train >= 0
    keys = contexts.train[has_context] * vocab_size + train[has_context]  # a context and what followed it
    ngrams, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
    grown = np.full(len(train), -1)
    grown[has_context] = numbers
    found = _find(ngrams, contexts.validation, validation, vocab_size)
    _interpolate(probs, contexts.validation, found, ngrams // vocab_size, counts)
    return _Contexts(grown, found)


def _find(ngrams: _Ints, contexts: _Ints, ids: _Ints, vocab_size: int) -> _Ints:
    """The number of each (context, id) among the sorted `ngrams`, or -1."""
    if not len(ngrams):
        return np.full(len(ids), -1)
    keys = contexts * vocab_size + ids  # below zero, and so found nowhere, where the context is -1
    place = np.minimum(np.searchsorted(ngrams, keys), len(ngrams) - 1)
    return np.where(ngrams[place] == keys, place, -1)


def _interpolate(probs: _Floats, contexts: _Ints, found: _Ints, context_of: _Ints, counts: _Ints) -> None:
    """p <- (count + kinds p) / (total + kinds), in place, where the context was seen: `total` times, and followed by
    `kinds` different ids."""
    total = np.bincount(context_of, weights=counts)
    kinds = np.bincount(context_of)
    known = (contexts >= 0) & (contexts < len(total))
    known[known] = total[contexts[known]] > 0  # a context that only ever ended the text was followed by nothing
    here = contexts[known]
    count = np.where(found[known] >= 0, counts[found[known]], 0)
    probs[known] = (count + kinds[here] * probs[known]) / (total[here] + kinds[here])


def _ints(ids: Ids) -> _Ints:
    return np.asarray(ids, dtype=np.int64)
