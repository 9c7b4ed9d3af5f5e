"""The learning rate as a pure function, and horizons."""

import math
import time

import pytest

from tinylm.config.schema import TrainConfig
from tinylm.training.schedule import StepHorizon, TimeHorizon, learning_rate_factor


def config(**values):
    return TrainConfig(steps=100, **values)


def test_warm_up_rises_in_equal_parts_and_never_starts_at_zero():
    warm = config(warmup_steps=4, decay="constant")
    assert [learning_rate_factor(step, 0.0, warm) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


@pytest.mark.parametrize(("decay", "half"), [("constant", 1.0), ("linear", 0.5), ("cosine", 0.5)])
def test_decay_ends_at_the_final_learning_rate(decay, half):
    chosen = config(warmup_steps=0, decay=decay)
    assert learning_rate_factor(50, 0.5, chosen) == pytest.approx(half)
    end = learning_rate_factor(100, 1.0, chosen)
    assert end == pytest.approx(1.0 if decay == "constant" else 0.0)
    kept = config(warmup_steps=0, decay=decay, final_learning_rate=0.25)
    assert learning_rate_factor(100, 1.0, kept) == pytest.approx(1.0 if decay == "constant" else 0.25)


def test_a_step_horizon_counts():
    horizon = StepHorizon(8)
    assert [horizon.progress(step) for step in (0, 4, 8, 9)] == [0, 0.5, 1, 1]
    assert horizon.time_left(0) == math.inf


def test_a_time_horizon_ends_in_time_for_what_must_follow():
    now = time.perf_counter()
    assert TimeHorizon(60, now - 30).progress(0) == pytest.approx(0.5, abs=0.01)
    assert TimeHorizon(60, now - 20, validating=10, finishing=10).progress(0) == pytest.approx(0.5, abs=0.01)
    assert TimeHorizon(60, now - 41, validating=10, finishing=10).progress(0) == 1.0
    assert TimeHorizon(60, now - 70).progress(0) == 1.0
    assert TimeHorizon(60, now - 30, most_steps=100).progress(75) == pytest.approx(0.75, abs=0.01)
    assert TimeHorizon(60, now - 30, most_steps=100).progress(25) == pytest.approx(0.5, abs=0.01)
    assert TimeHorizon(60, now - 30, most_steps=100).time_left(75) == pytest.approx(10, abs=0.5)


def test_the_speed_of_a_resumed_run_is_measured_from_where_it_went_on():
    horizon = StepHorizon(100, first=90, started=time.perf_counter() - 5)
    assert horizon.time_left(90) == math.inf
    assert horizon.time_left(95) == pytest.approx(5, abs=0.5)
