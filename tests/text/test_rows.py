"""Rows and batches: every token a target once an epoch, and a batch a pure function of (seed, step)."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import Part, build_dataset
from tinylm.text.rows import IGNORE, Batch, Rows
from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.split import split_corpus
from tinylm.text.tokenizer import Tokenizer

PACKINGS = ("windows", "packed", "padded")
PAD, BOS, EOS = SpecialTokens()[:3]


def part_of(lengths: list[int]) -> Part:
    """Documents of these lengths, whose ids are all different."""
    offsets = np.cumsum([0, *lengths])
    return Part(np.arange(10, 10 + offsets[-1], dtype=np.uint16), offsets, 0)


PARTS = st.lists(st.integers(1, 12), min_size=1, max_size=12).map(part_of)


def check_rule(part: Part, batch: Batch, packing: str, context_length: int) -> list[int]:
    """The rule of a row. Returns the targets that count."""
    inputs, targets = batch
    assert inputs.shape == targets.shape
    assert inputs.dtype == targets.dtype == np.int64
    assert inputs.shape[1] <= context_length
    counted = []
    for row_inputs, row_targets in zip(inputs.tolist(), targets.tolist(), strict=True):
        length = sum(target != IGNORE for target in row_targets)
        assert row_targets[length:] == [IGNORE] * (len(row_targets) - length)
        assert row_inputs[length:] == [PAD] * (len(row_targets) - length)
        for position in range(length):
            begins = position == 0 or (packing == "packed" and row_targets[position] - 10 in part.offsets)
            assert row_inputs[position] == (BOS if begins else row_targets[position - 1])
        counted += row_targets[:length]
    return counted


# ---- the notebook's item 8


def hello(tmp_path: Path) -> Part:
    split = split_corpus(open_corpus("hello"), 0.0)
    tokenizer = Tokenizer.train("word", (piece.text for piece in split.train.pieces()), unknown_token=False)
    return build_dataset(split, tokenizer, cache_dir=tmp_path).train


def test_the_notebooks_batch(tmp_path: Path) -> None:
    """Inputs and targets shifted by one, padded to one length, in the notebook's order, in every epoch."""
    rows = Rows(hello(tmp_path), packing="padded", context_length=64, seed=3, target_padding=PAD)
    assert rows.rows_per_epoch == 4
    for step in range(5):
        inputs, targets = rows.batch(step, 4)
        assert inputs.tolist() == [[1, 3, 4, 5, 6, 7, 8, 0], [1, 3, 4, 5, 9, 10, 11, 8],
                                   [1, 5, 6, 7, 8, 0, 0, 0], [1, 5, 9, 10, 11, 8, 0, 0]]
        assert targets.tolist() == [[3, 4, 5, 6, 7, 8, 2, 0], [3, 4, 5, 9, 10, 11, 8, 2],
                                    [5, 6, 7, 8, 2, 0, 0, 0], [5, 9, 10, 11, 8, 2, 0, 0]]


def test_padding_is_ignored_unless_asked_otherwise(tmp_path: Path) -> None:
    _, targets = Rows(hello(tmp_path), packing="padded", context_length=64).batch(0, 4)
    assert targets[0].tolist() == [3, 4, 5, 6, 7, 8, 2, IGNORE]


# ---- every packing


@settings(max_examples=300)
@given(PARTS, st.sampled_from(PACKINGS), st.integers(1, 9), st.integers(1, 7), st.integers(0, 3))
def test_every_token_is_a_target_once_an_epoch(part: Part, packing: str, context: int, batch: int, seed: int) -> None:
    rows = Rows(part, packing=packing, context_length=context, seed=seed)
    epochs = 3
    steps = epochs * rows.rows_per_epoch  # as many batches, which then hold `batch` times as many epochs
    counted = [target for step in range(steps)
               for target in check_rule(part, rows.batch(step, batch), packing, context)]
    assert sorted(counted) == sorted(part.ids.tolist() * (epochs * batch))


@settings(max_examples=100)
@given(PARTS, st.sampled_from(PACKINGS), st.integers(1, 9), st.integers(1, 7))
def test_an_evaluation_meets_every_token_once(part: Part, packing: str, context: int, batch: int) -> None:
    rows = Rows(part, packing=packing, context_length=context)
    batches = list(rows.evaluation(batch))
    counted = [target for one in batches for target in check_rule(part, one, packing, context)]
    assert sorted(counted) == part.ids.tolist()
    assert all(len(inputs) == batch for inputs, _ in batches[:-1])
    if packing == "windows":
        assert counted == part.ids.tolist()


@settings(max_examples=100)
@given(PARTS, st.sampled_from(PACKINGS), st.integers(1, 9), st.integers(1, 7), st.lists(st.integers(0, 50), max_size=9))
def test_a_batch_depends_on_nothing_but_seed_and_step(
    part: Part, packing: str, context: int, batch: int, history: list[int]
) -> None:
    used = Rows(part, packing=packing, context_length=context, seed=5)
    for step in history:
        used.batch(step, batch)
    for step in (0, 7, 23):
        fresh = Rows(part, packing=packing, context_length=context, seed=5)
        for ours, theirs in zip(used.batch(step, batch), fresh.batch(step, batch), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("packing", PACKINGS)
def test_the_global_order_does_not_depend_on_the_batch_size(packing: str) -> None:
    """The rows of one step of 8 are those of two steps of 4, so that ranks can share a batch."""
    part = part_of([5] * 40)
    rows = Rows(part, packing=packing, context_length=6, seed=1)
    for step in range(6):
        whole = {tuple(row) for row in rows.batch(step, 8)[1].tolist()}
        halves = {tuple(row) for half in (0, 1) for row in rows.batch(2 * step + half, 4)[1].tolist()}
        assert whole == halves


def test_epochs_and_seeds_differ() -> None:
    part = part_of([300])
    batches = [Rows(part, packing="windows", context_length=8, seed=seed).batch(step, 10)[1].tolist()
               for seed in (0, 1) for step in (0, 4)]
    assert all(left != right for left, right in itertools.combinations(batches, 2))


def test_windows_begin_elsewhere_in_each_epoch() -> None:
    rows = Rows(part_of([64]), packing="windows", context_length=8)
    first_lengths = {int((rows.batch(epoch, rows.rows_per_epoch)[1][0] != IGNORE).sum()) for epoch in range(60)}
    assert first_lengths == set(range(1, 9))


def test_windows_are_as_wide_as_the_context() -> None:
    inputs, targets = Rows(part_of([20]), packing="windows", context_length=8).batch(0, 5)
    assert inputs.shape == targets.shape == (5, 8)
    _, targets = next(Rows(part_of([20]), packing="windows", context_length=8).evaluation(9))
    assert targets[:, 0].tolist() == [10, 18, 26]


def test_packed_rows_hold_whole_documents_each_after_its_own_bos() -> None:
    rows = Rows(part_of([3, 4, 2, 20, 1]), packing="packed", context_length=8)
    assert rows.rows_per_epoch == 5
    inputs, targets = rows.batch(0, 5)
    assert targets.tolist() == [
        [10, 11, 12, 13, 14, 15, 16, IGNORE],
        [17, 18, *[IGNORE] * 6],
        list(range(19, 27)),
        list(range(27, 35)),
        [35, 36, 37, 38, 39, *[IGNORE] * 3],
    ]
    assert inputs[0].tolist() == [BOS, 10, 11, BOS, 13, 14, 15, PAD]
    assert inputs[4].tolist() == [BOS, 35, 36, 37, BOS, *[PAD] * 3]


def test_padded_batches_are_as_wide_as_their_longest_row() -> None:
    rows = Rows(part_of([3, 20, 2]), packing="padded", context_length=8)
    assert rows.rows_per_epoch == 5
    assert [inputs.shape for inputs, _ in rows.evaluation(2)] == [(2, 3), (2, 8), (1, 8)]


def test_reading_a_batch_touches_only_its_own_ids() -> None:
    """Counted, not timed: a batch of a long text reads B x T ids, whichever step it is."""
    class Counting(np.ndarray):
        read = 0

        def __getitem__(self, key: object) -> np.ndarray:
            found = np.asarray(self)[key]
            Counting.read += found.size
            return found

    ids = np.zeros(1_000_000, np.uint16).view(Counting)
    rows = Rows(Part(ids, np.array([0, 1_000_000]), 0), packing="windows", context_length=64)
    for step in (0, 9, 500):
        Counting.read = 0
        rows.batch(step, 16)
        assert Counting.read == 16 * 64
