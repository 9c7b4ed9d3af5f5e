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
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

Ids = Sequence[int] | NDArray[np.integer]
_Ints = NDArray[np.int64]
_Numbers = NDArray[np.int32]
_Array = NDArray[np.integer]
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
    counts = np.bincount(_array(train_ids), minlength=vocab_size) + 1.0
    losses = np.log(counts.sum()) - np.log(counts)
    return float(losses[_array(validation_ids)].sum())


def ngram(train_ids: Ids, validation_ids: Ids, vocab_size: int, order: int | None = None) -> float:
    """An interpolated n-gram: each token from the `order - 1` before it. In nats.

    The share of what followed a context is mixed with the prediction from the context one shorter, down to the uniform
    distribution, with Witten and Bell's weights (1991, "The zero-frequency problem"): a context that was followed by
    many different tokens is trusted less.

    Args:
        order: n; None chooses it with `best_order`.
    """
    order = best_order(train_ids, vocab_size) if order is None else order
    losses = _losses_by_order(_array(train_ids), _array(validation_ids), vocab_size)
    return next(islice(losses, order - 1, None))


def best_order(train_ids: Ids, vocab_size: int) -> int:
    """The n at which an n-gram of the first nine tenths of `train_ids` best predicts their last tenth."""
    ids = _array(train_ids)
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


def _losses_by_order(train: _Array, validation: _Array, vocab_size: int) -> Iterator[float]:
    """The nats of the 1-gram, the 2-gram, ...: each order is one more refinement of the same probabilities.

    n-grams of one length are numbered by their rank among those of the training text, so two have the same number
    exactly where they are the same: there are no hashes and no collisions. -1 is the number of all others. One that is
    an id longer is (number, id), so numbers grow by sorting numbers.
    """
    probs: _Floats = np.full(len(validation), 1 / vocab_size)
    contexts = _Contexts(np.zeros(len(train), np.int32), np.zeros(len(validation), np.int32), 1)
    for n in count(1):
        contexts = _refine(probs[n - 1:], contexts, train[n - 1:], validation[n - 1:], vocab_size)
        yield float(-np.log(probs).sum())


class _Contexts(NamedTuple):
    """The numbers of the n-grams that end just before each id, in both texts, and how many of them there are. The empty
    one, number 0, ends everywhere."""

    train: _Numbers
    validation: _Numbers
    n_different: int


def _refine(probs: _Floats, contexts: _Contexts, train: _Array, validation: _Array, vocab_size: int) -> _Contexts:
    """Refines `probs` of the validation ids in place by their contexts. Returns the contexts that are an id longer."""
    ngrams, numbers, counts = _ranked(_lengthened(contexts.train, train, vocab_size))
    found = _find(ngrams, _lengthened(contexts.validation, validation, vocab_size))
    _interpolate(probs, contexts, found, ngrams // vocab_size, counts)
    return _Contexts(numbers[:-1], found[:-1], len(ngrams))


def _lengthened(contexts: _Numbers, ids: _Array, vocab_size: int) -> _Ints:
    """Contexts with what follows them, as one number each: below zero where the context is -1."""
    keys = contexts.astype(np.int64)
    keys *= vocab_size
    keys += ids
    return keys


def _ranked(keys: _Ints) -> tuple[_Ints, _Numbers, _Ints]:
    """The distinct ones in order, the rank of each key among them, and how often each of them is there.

    Keys are sorted together with their places, as numbers of 64 bits, which is quicker than to sort places by keys.
    They are overwritten: five million of them take 40 MB.
    """
    bits = len(keys).bit_length()
    if not len(keys) or int(keys.max()) >> 63 - bits:
        distinct, numbers, often = np.unique(keys, return_inverse=True, return_counts=True)
        return distinct, numbers.astype(np.int32), often
    keys <<= bits
    keys |= np.arange(len(keys), dtype=np.int32)
    keys.sort()
    places = keys.astype(np.int32)
    places &= (1 << bits) - 1
    keys >>= bits
    begins = np.concatenate([[True], keys[1:] != keys[:-1]])
    ranks: _Numbers = np.empty(len(keys), np.int32)
    ranks[places] = np.cumsum(begins, dtype=np.int32)
    ranks -= 1
    first = np.flatnonzero(begins)
    counts: _Ints = np.diff(np.append(first, len(keys)))
    return keys[first], ranks, counts


def _find(ngrams: _Ints, keys: _Ints) -> _Numbers:
    """The number of each key among the sorted `ngrams`, or -1. Keys below zero are found nowhere."""
    if not len(ngrams):
        return np.full(len(keys), -1, np.int32)
    place = np.minimum(np.searchsorted(ngrams, keys), len(ngrams) - 1)
    return np.where(ngrams[place] == keys, place, -1).astype(np.int32)


def _interpolate(probs: _Floats, contexts: _Contexts, found: _Numbers, context_of: _Ints, counts: _Ints) -> None:
    """p <- (count + kinds p) / (total + kinds), in place, where the context was seen: `total` times, and followed by
    `kinds` different ids. Where it was not, or only at the very end, zero and one leave p as it is.

    Args:
        context_of, counts: of each n-gram of the training text.
    """
    room = contexts.n_different + 1  # the last place is that of -1
    total = np.bincount(context_of, weights=counts, minlength=room)[contexts.validation]
    kinds = np.maximum(np.bincount(context_of, minlength=room), 1)[contexts.validation]
    probs *= kinds
    probs += np.append(counts, 0)[found]
    probs /= total + kinds


def _array(ids: Ids) -> _Array:
    """Of any whole numbers, also where there are none."""
    return np.asarray(ids) if len(ids) else np.zeros(0, np.int64)
