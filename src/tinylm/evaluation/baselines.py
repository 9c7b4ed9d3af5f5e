"""Baselines on the same text, without a model: three predictors that count, which a trained model must beat to have
learned more, and a compressor.

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
Mask = NDArray[np.bool_]
_Ints = NDArray[np.int64]
_Numbers = NDArray[np.int32]
_Array = NDArray[np.integer]
_Floats = NDArray[np.float64]

MAX_ORDER = 12
"""The longest n-gram that is tried when the order is chosen."""

MAX_ORDERS_WITHOUT_GAIN = 3
"""Orders tried in vain before that: what two tokens back does not tell, three back may."""


def uniform(vocab_size: int, n_tokens: int) -> float:
    """Loss in nats of the uniform distribution over `n_tokens`: that of a model that has learned nothing.

    >>> round(uniform(vocab_size=256, n_tokens=10), 2)
    55.45
    """
    return n_tokens * math.log(vocab_size)


def unigram(train_ids: Ids, validation_ids: Ids, vocab_size: int) -> float:
    """Loss in nats of the unigram model: the probability of a token is its share of the training ids, with one added to
    every count (Laplace smoothing), so that none is impossible.

    >>> round(unigram([0, 0, 1], [0, 1], vocab_size=2), 3)  # -ln(3/5) - ln(2/5)
    1.427
    """
    counts = np.bincount(_array(train_ids), minlength=vocab_size) + 1.0
    losses = np.log(counts.sum()) - np.log(counts)
    return float(losses[_array(validation_ids)].sum())


def ngram(train_ids: Ids, validation_ids: Ids, vocab_size: int, order: int | None = None,
          is_target: Mask | None = None) -> float:
    """Loss in nats of an interpolated n-gram, which predicts each token from the `order - 1` before it.

    The share of what followed a context is mixed with the prediction from the context one shorter, down to the uniform
    distribution, with Witten and Bell's weights (1991, "The zero-frequency problem"): a context that was followed by
    many different tokens is trusted less.

    Args:
        order: n; None chooses it with `best_order`.
        is_target: the validation ids whose losses count; None: all. The others are context for them.
    """
    order = best_order(train_ids, vocab_size) if order is None else order
    losses = _losses_by_order(_array(train_ids), _array(validation_ids), vocab_size, is_target)
    return next(islice(losses, order - 1, None))


def best_order(train_ids: Ids, vocab_size: int, is_target: Mask | None = None) -> int:
    """The n at which an n-gram of the first nine tenths of `train_ids` best predicts their last tenth.

    Args:
        is_target: the ids whose losses count, as in `ngram`.
    """
    ids = _array(train_ids)
    cut = len(ids) - len(ids) // 10
    counted = None if is_target is None else is_target[cut:len(ids)]
    losses = _losses_by_order(ids[:cut], ids[cut:], vocab_size, counted)
    best, least = 1, math.inf
    for order, loss in enumerate(islice(losses, MAX_ORDER), start=1):
        if loss < least:
            best, least = order, loss
        elif order - best == MAX_ORDERS_WITHOUT_GAIN:  # longer contexts only become rarer
            break
    return best


def compressor(train: bytes, validation: bytes) -> float:
    """Size in bits a byte of the validation text, compressed by zstd at level 19 after it has read the training text.

    The training text is its dictionary, as raw content: any earlier passage can be referred to. xz, which can refer as
    far, is smaller by 1% and takes five times as long. Time: a second for a megabyte, and it grows a little faster than
    the text does.
    """
    known = zstandard.ZstdCompressionDict(train, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    settings = zstandard.ZstdCompressionParameters.from_level(
        19, source_size=len(validation), dict_size=len(train), write_content_size=False, write_dict_id=False)
    packed = zstandard.ZstdCompressor(dict_data=known, compression_params=settings).compress(validation)
    return 8 * len(packed) / max(1, len(validation))


def _losses_by_order(train: _Array, validation: _Array, vocab_size: int, is_target: Mask | None) -> Iterator[float]:
    """Yields the nats of the 1-gram, the 2-gram, ...: each order is one more refinement of the same probabilities.

    n-grams of one length are numbered by their rank among those of the training text, so two have the same number
    exactly where they are the same: there are no hashes and no collisions. -1 is the number of all others. An n-gram
    that is an id longer is (number, id), so longer n-grams are numbered by sorting pairs of numbers.
    """
    probs: _Floats = np.full(len(validation), 1 / vocab_size)
    contexts = _Contexts(np.zeros(len(train), np.int32), np.zeros(len(validation), np.int32), 1)
    for n in count(1):
        contexts = _refine(probs[n - 1:], contexts, train[n - 1:], validation[n - 1:], vocab_size)
        yield float(-np.log(probs if is_target is None else probs[is_target]).sum())


class _Contexts(NamedTuple):
    """Numbers of the n-grams that end just before each id, in both texts, and the count of different ones. The empty
    n-gram, number 0, ends everywhere."""

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
    """Returns the distinct keys in order, the rank of each key among them, and the count of each distinct key.

    Each key is sorted together with its position, as one number of 64 bits, which is quicker than an argsort. The
    array of keys is overwritten: five million of them take 40 MB.
    """
    bits = len(keys).bit_length()
    if not len(keys) or int(keys.max()) >> 63 - bits:
        distinct, numbers, often = np.unique(keys, return_inverse=True, return_counts=True)
        return distinct, numbers.astype(np.int32), often
    keys <<= bits
    keys |= np.arange(len(keys), dtype=np.int32)
    keys.sort()
    positions = keys.astype(np.int32)
    positions &= (1 << bits) - 1
    keys >>= bits
    begins = np.concatenate([[True], keys[1:] != keys[:-1]])
    ranks: _Numbers = np.empty(len(keys), np.int32)
    ranks[positions] = np.cumsum(begins, dtype=np.int32)
    ranks -= 1
    first = np.flatnonzero(begins)
    counts: _Ints = np.diff(np.append(first, len(keys)))
    return keys[first], ranks, counts


def _find(ngrams: _Ints, keys: _Ints) -> _Numbers:
    """The number of each key among the sorted `ngrams`, or -1. Keys below zero are found nowhere."""
    if not len(ngrams):
        return np.full(len(keys), -1, np.int32)
    index = np.minimum(np.searchsorted(ngrams, keys), len(ngrams) - 1)
    return np.where(ngrams[index] == keys, index, -1).astype(np.int32)


def _interpolate(probs: _Floats, contexts: _Contexts, found: _Numbers, context_of: _Ints, counts: _Ints) -> None:
    """p <- (count + kinds p) / (total + kinds), in place, where the context was seen: `total` times, and followed by
    `kinds` different ids. Where it was not, or only at the very end, zero and one leave p as it is.

    Args:
        context_of, counts: of each n-gram of the training text.
    """
    n_slots = contexts.n_different + 1  # the last slot is that of -1
    total = np.bincount(context_of, weights=counts, minlength=n_slots)[contexts.validation]
    kinds = np.maximum(np.bincount(context_of, minlength=n_slots), 1)[contexts.validation]
    probs *= kinds
    probs += np.append(counts, 0)[found]
    probs /= total + kinds


def _array(ids: Ids) -> _Array:
    """Array of any sequence of whole numbers, the empty one included."""
    return np.asarray(ids) if len(ids) else np.zeros(0, np.int64)
