"""The share of a validation text that the training text has, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.evaluation import overlap, rolling_hash
from tinylm.evaluation.overlap import repeated_share, stretch_tokens, unknown_share

ids = st.lists(st.integers(0, 2), max_size=60).map(lambda values: np.array(values, np.uint16))


@settings(derandomize=True, deadline=None)
@given(ids, ids, st.integers(1, 6))
def test_it_is_the_share_counted_by_hand(train, validation, width):
    known = {tuple(train[i:i + width]) for i in range(len(train) - width + 1)}
    covered = {i + k for i in range(len(validation) - width + 1) if tuple(validation[i:i + width]) in known
               for k in range(width)}
    assert repeated_share(train, validation, width) == pytest.approx(len(covered) / max(1, len(validation)))


def test_a_planted_stretch_is_found_in_a_long_text():
    dice = np.random.default_rng(0)
    train, validation = (dice.integers(0, 60, n).astype(np.uint16) for n in (3 * rolling_hash.CHUNK, 40_000))
    assert repeated_share(train, validation, 64) == 0
    at = rolling_hash.CHUNK - 5_000  # across the border of two chunks
    validation[20_000:30_000] = train[at:at + 10_000]
    assert repeated_share(train, validation, 64) == pytest.approx(0.25, abs=0.001)


def test_equal_hashes_alone_are_no_repeat(monkeypatch):
    monkeypatch.setattr(overlap, "hash_rows", lambda rows: np.zeros(len(rows), np.uint64))
    monkeypatch.setattr(rolling_hash.WindowHashes, "hashes", lambda *_: np.zeros(10, np.uint64))
    assert repeated_share(np.arange(20), np.arange(50, 90), 4) == 0


def test_a_stretch_has_some_64_bytes():
    assert stretch_tokens(1000, 1000) == 64
    assert stretch_tokens(1000, 4000) == 16
    assert stretch_tokens(1000, 100_000) == stretch_tokens(0, 0) == 8


def test_the_share_of_unknown_tokens():
    assert unknown_share(np.array([1, 3, 3, 2]), 3) == 0.5
    assert unknown_share(np.array([1, 3]), None) == unknown_share(np.array([], np.uint16), 3) == 0
