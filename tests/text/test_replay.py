"""Replay: the earlier text has its share of every stretch, and an epoch of the own text is as it was without."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.text.dataset import Part
from tinylm.text.replay import ReplayRows
from tinylm.text.rows import IGNORE, Rows

OWN, EARLIER = 1000, 2000
"""Ids of the two texts begin here."""


def rows_of(first: int, lengths: list[int], packing: str = "windows") -> Rows:
    offsets = np.cumsum([0, *lengths])
    part = Part(np.arange(first, first + offsets[-1], dtype=np.uint16), offsets, 0)
    return Rows(part, packing=packing, context_length=8, seed=3)


def targets_of(rows: ReplayRows | Rows, steps: int, batch_size: int) -> list[list[int]]:
    """The targets of each row of the first steps that count."""
    return [[id for id in row if id != IGNORE] for step in range(steps)
            for row in rows.batch(step, batch_size)[1].tolist()]


@given(st.floats(0.01, 0.95), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_any_stretch_has_the_share_to_the_row(share, batch_size):
    rows = ReplayRows(rows_of(OWN, [50]), rows_of(EARLIER, [70]), share, (0, IGNORE))
    found = [row[0] >= EARLIER for row in targets_of(rows, 30, batch_size) if row]
    for n in range(batch_size, len(found) + 1, batch_size):
        assert abs(sum(found[:n]) - share * n) <= 1 + 2 * n / 8  # windows at the edge of a text may be empty


@pytest.mark.parametrize("packing", ["windows", "packed", "padded"])
def test_the_own_text_comes_in_the_order_that_it_has_alone(packing):
    own, earlier = (rows_of(first, [5, 9, 3, 8, 2, 7], packing) for first in (OWN, EARLIER))
    mixed = targets_of(ReplayRows(own, earlier, 0.25, (0, IGNORE)), 16, batch_size=4)
    alone = targets_of(own, 12, batch_size=4)
    assert sorted(row for row in mixed if row and row[0] < EARLIER) == sorted(filter(None, alone))


def test_an_epoch_is_once_through_the_own_text():
    own = rows_of(OWN, [160])
    rows = ReplayRows(own, rows_of(EARLIER, [70]), 0.5, (0, IGNORE))
    assert rows.rows_per_epoch == 2 * own.rows_per_epoch


def test_a_batch_depends_on_its_step_alone():
    rows, others = (ReplayRows(rows_of(OWN, [50]), rows_of(EARLIER, [70]), 0.3, (0, IGNORE)) for _ in range(2))
    later = rows.batch(7, 4)
    for step in range(8):
        found = others.batch(step, 4)
    assert all((one == other).all() for one, other in zip(later, found, strict=True))


def test_rows_of_other_widths_are_padded():
    own, earlier = rows_of(OWN, [3, 3], "padded"), rows_of(EARLIER, [6, 6], "padded")
    inputs, targets = ReplayRows(own, earlier, 0.5, (7, IGNORE)).batch(0, 2)
    assert inputs.shape == targets.shape == (2, 6)
    assert inputs[1, 3:].tolist() == [7, 7, 7]
    assert targets[1, 3:].tolist() == [IGNORE] * 3
