"""Baselines against counting by hand, and against the figure that a 5-gram reaches on a known text."""

from __future__ import annotations

import lzma
import math
import pydoc_data.topics
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.evaluation.baselines import _ranked, best_order, compressor, ngram, uniform, unigram

SHAKESPEARE = Path(__file__).parents[3] / "shared/data/tinyshakespeare.txt"
VOCAB = 4
a_text = st.lists(st.integers(0, VOCAB - 1), max_size=40)


def by_hand(train, history, token, order):
    """The probability of one token by Witten and Bell's recursion, counted afresh from the training text."""
    if order == 0:
        return 1 / VOCAB
    shorter = by_hand(train, history, token, order - 1)
    context = history[len(history) - order + 1 :]
    if len(history) < order - 1:
        return shorter
    followed_by = Counter(train[i + order - 1] for i in range(len(train) - order + 1)
                          if train[i : i + order - 1] == context)
    if not followed_by:
        return shorter
    return (followed_by[token] + len(followed_by) * shorter) / (followed_by.total() + len(followed_by))


small = settings(derandomize=True, deadline=None, max_examples=60)


@small
@given(train=a_text, validation=a_text, order=st.integers(1, 5))
def test_the_ngram_is_the_one_counted_by_hand(train, validation, order):
    probs = [by_hand(train, validation[:i], token, order) for i, token in enumerate(validation)]
    assert ngram(train, validation, VOCAB, order) == pytest.approx(-sum(map(math.log, probs)))


@small
@given(train=a_text, history=a_text, order=st.integers(1, 5))
def test_the_probabilities_of_all_next_tokens_sum_to_one(train, history, order):
    before = ngram(train, history, VOCAB, order)
    losses = [ngram(train, [*history, token], VOCAB, order) - before for token in range(VOCAB)]
    assert sum(math.exp(-loss) for loss in losses) == pytest.approx(1)


def test_uniform_and_unigram_by_hand():
    assert uniform(8, 3) == pytest.approx(3 * math.log(8))
    # Counts 2, 1, 0 and one more each: 3/6, 2/6, 1/6.
    assert unigram([0, 1, 0], [0, 2], 3) == pytest.approx(math.log(2) + math.log(6))
    assert unigram([], [0, 2], 3) == pytest.approx(uniform(3, 2))


def test_any_kind_of_ids():
    lists = [0, 1, 2, 0, 1, 3], [0, 1, 2]
    arrays = [np.array(ids, dtype=np.uint16) for ids in lists]
    assert ngram(*lists, VOCAB, 3) == ngram(*arrays, VOCAB, 3) > 0
    assert unigram(*lists, VOCAB) == unigram(*arrays, VOCAB) > 0


@pytest.mark.parametrize("baseline", [unigram, ngram])
def test_nothing_to_predict_costs_nothing(baseline):
    assert baseline([0, 1, 2], [], VOCAB) == 0


@small
@given(keys=st.lists(st.integers(0, 9), max_size=40), factor=st.sampled_from([1, 2**58]))
def test_ranks_of_small_and_of_enormous_keys(keys, factor):
    distinct, ranks, counts = _ranked(factor * np.array(keys, np.int64))
    assert distinct.tolist() == [factor * key for key in sorted(set(keys))]
    assert [distinct[rank] for rank in ranks] == [factor * key for key in keys]
    assert counts.tolist() == [keys.count(key // factor) for key in distinct.tolist()]


def echo(distance, length=5000):
    """Mostly the token `distance` back, at times any: an n-gram of distance + 1 knows all that can be known."""
    dice = np.random.default_rng(0)
    ids = dice.integers(0, VOCAB, length)
    for i in np.flatnonzero(dice.random(length) < 0.8):
        ids[i] = ids[max(i - distance, 0)]
    return ids


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_the_order_fits_the_text(distance):
    assert best_order(echo(distance), VOCAB) == distance + 1


def test_the_order_is_chosen_on_the_training_text():
    train, validation = echo(2), echo(1, length=100)
    chosen, for_validation = (ngram(train, validation, VOCAB, order) for order in (3, 2))
    assert ngram(train, validation, VOCAB) == chosen != for_validation


def test_the_order_of_too_short_a_text():
    assert best_order([], VOCAB) == best_order([1, 2, 3], VOCAB) == 1


def character_ids(text, share=0.9):
    vocabulary, ids = np.unique(np.array(list(text)), return_inverse=True)
    cut = int(len(ids) * share)
    return ids[:cut], ids[cut:], len(vocabulary)


REFERENCE = "\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))


def test_on_the_language_reference_it_is_far_better_than_the_unigram():
    """The text differs a little between versions of Python; with 3.11 a 5-gram reaches 1.32 nats a character."""
    train, validation, vocab_size = character_ids(REFERENCE)
    best = ngram(train, validation, vocab_size)
    assert 1.0 < best / len(validation) < 1.5
    assert best < 0.7 * unigram(train, validation, vocab_size) < 0.7 * uniform(vocab_size, len(validation))


def test_the_compressor_has_read_the_training_text():
    text = REFERENCE[:200_000].encode()
    train, validation = text[:180_000], text[180_000:]
    informed, alone = compressor(train, validation), compressor(b"", validation)
    assert informed < 0.9 * alone
    assert compressor(validation, validation) < 0.05, "it knows this by heart"
    by_xz = 8 * (len(lzma.compress(text)) - len(lzma.compress(train))) / len(validation)
    assert informed == pytest.approx(by_xz, rel=0.05)


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason=f"there is no {SHAKESPEARE.name} beside the repository")
def test_on_shakespeare_it_reaches_the_known_figure():
    train, validation, vocab_size = character_ids(SHAKESPEARE.read_text(encoding="utf-8"))
    loss = ngram(train, validation, vocab_size) / len(validation)
    assert loss <= 1.669
    assert loss > 1.66, "better than a 5-gram can be: does it see the answer?"
