"""What the figures of a run show: every event once, extremes kept, foreign names as text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from tinylm.reports.history import History
from tinylm.reports.plots import (
    MAX_COLUMNS,
    MAX_POINTS,
    bin_maxima,
    downsample,
    gradient_map,
    label,
    learning_rate_curve,
    loss_curve,
    smoothed,
)
from tinylm.training.events import Began, Event, RolledBack, Stepped, Validated

BEGAN = Began(1000, 50, 16, 900, 1800, 100, 200, {}, 0.0, 0.0)
BITS_A_NAT = 100 / 200 / math.log(2)


def step(number: int, loss: float = 2.0, **layers: float) -> Stepped:
    return Stepped(number, loss, 0.01, 1.0, layers, 64 * number, 0.1 * number)


def traces(figure: go.Figure, name: str) -> list[Any]:
    return [trace for trace in figure.data if (trace.name or "").startswith(name)]


def texts(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_the_loss_and_the_validations() -> None:
    events = [BEGAN, *(step(i, 4 / i) for i in range(1, 9)), Validated(4, 1.5, True), Validated(8, 1.7, False)]
    figure = loss_curve(History.of(events), [])
    assert list(traces(figure, "training, each")[0].y) == [4 / i for i in range(1, 9)]
    (validation,) = traces(figure, "validation")
    assert (list(validation.x), list(validation.y)) == ([4, 8], [1.5, 1.7])
    assert list(validation.customdata) == pytest.approx([1.5 * BITS_A_NAT, 1.7 * BITS_A_NAT])
    (best,) = traces(figure, "best: step 4")
    assert (list(best.x), list(best.y)) == ([4], [1.5])


def test_the_two_axes_say_the_same() -> None:
    figure = loss_curve(History.of([BEGAN, step(1, 3.0), step(2, 2.0)]), [("guessing", 4.4), ("counting", 2.5)])
    nats, bits = figure.layout.yaxis, figure.layout.yaxis2
    assert list(bits.range) == pytest.approx([bound * BITS_A_NAT for bound in nats.range])
    assert nats.fixedrange
    assert bits.fixedrange, "or a zoom would move one against the other"
    lines = [list(trace.y) for trace in figure.data if trace.yaxis == "y2" and trace.mode == "lines"]
    assert lines == [[2.5, 2.5], [4.4, 4.4]]
    assert {"guessing 4.40", "counting 2.50"} <= set(texts(figure))
    assert bits.range[1] > 4.4


def test_baselines_that_are_near_each_other_are_labelled_side_by_side() -> None:
    figure = loss_curve(History.of([BEGAN, step(1, 9.0), step(2, 1.0)]), [("a", 2.00), ("b", 2.01), ("c", 2.02)])
    places = [annotation.x for annotation in figure.layout.annotations if annotation.yref == "y2"]
    assert len(set(places)) == 3


def test_without_the_size_of_the_text_there_are_no_bits() -> None:
    figure = loss_curve(History.of([step(1), Validated(1, 2.0, True)]), [("guessing", 4.4)])
    assert "yaxis2" not in figure.to_plotly_json()["layout"]
    assert "guessing" not in figure.to_json()


def test_a_rollback_is_marked_and_what_it_took_back_is_shown() -> None:
    events = [step(1), step(2), step(3, 8.0), RolledBack(4, 2, "layers.3", 0.5), step(3, 1.9)]
    figure = loss_curve(History.of(events), [])
    assert "rollback" in texts(figure)
    assert [shape.x0 for shape in figure.layout.shapes] == [2]
    assert list(traces(figure, "taken back")[0].y) == [8.0]
    assert list(traces(figure, "training, each")[0].y) == [2.0, 2.0, 1.9]


def test_one_wild_batch_does_not_flatten_the_curve() -> None:
    losses = [3.0] * 50 + [1e9] + [2.0] * 49
    figure = loss_curve(History.of([step(i, loss) for i, loss in enumerate(losses)]), [])
    assert figure.layout.yaxis.range[1] < 4
    (told,) = figure.layout.annotations
    assert (told.text, told.x) == ("↑ 1e+09", 50)


def test_a_first_batch_that_is_only_somewhat_higher_stays_in_sight() -> None:
    figure = loss_curve(History.of([step(i, 3.4 if i == 0 else 2 + i % 2) for i in range(200)]), [])
    assert figure.layout.yaxis.range[1] > 3.4


def test_numbers_that_are_not_finite_are_left_out() -> None:
    events: list[Event] = [BEGAN, step(1, math.nan, embed=math.nan), step(2, math.inf, embed=0.0),
                           step(3, 2.0, embed=0.1), step(4, 1e308), step(5, -1e308), Validated(3, math.nan, False),
                           Validated(5, -1e308, True)]
    history = History.of(events)
    figure = loss_curve(history, [("broken", math.nan), ("huge", 1e308)])
    assert list(traces(figure, "training, each")[0].x) == [3]
    assert not traces(loss_curve(history, []), "validation")
    blank = np.isnan(np.array(gradient_map(history).data[0].z, dtype=float)[1])
    assert blank.tolist() == [True, True, False, True, True]


def test_a_run_without_gradients_of_layers_or_without_steps() -> None:
    assert list(gradient_map(History.of([step(1), step(2)])).data[0].y) == ["all layers"]
    for figure in (loss_curve(History(), []), learning_rate_curve(History()), gradient_map(History())):
        assert figure.to_json()


def test_gradients_stand_in_the_order_a_token_travels() -> None:
    layers = {"embed": 0.1, "layers.0": 10.0, "out_head": 1.0}
    figure = gradient_map(History.of([step(1, **layers), step(2, **layers)]))
    assert list(figure.data[0].y) == ["all layers", *layers]
    assert np.array(figure.data[0].z)[1:, 0] == pytest.approx([-1, 1, 0])
    assert list(figure.data[0].colorbar.ticktext) == ["0.1", "1", "10"]


def test_the_learning_rate() -> None:
    events = [Stepped(i, 2.0, rate, 1.0, {}, i, 0.0) for i, rate in enumerate([0.001, 0.002, 0.0], start=1)]
    assert list(learning_rate_curve(History.of(events)).data[0].y) == [0.001, 0.002, 0.0]


def test_thinning_keeps_extremes_and_ends() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    values[54_321], values[77_777] = 50.0, -50.0
    kept = downsample(values)
    assert len(kept) <= MAX_POINTS
    assert {0, 54_321, 77_777, 99_999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()
    for most in (4, 5, 7, 100):
        assert len(downsample(values, most)) <= most
    assert downsample(values[:10]).tolist() == list(range(10))


def test_columns_keep_the_largest_and_know_their_steps() -> None:
    values = np.array([[1.0, 5.0, 2.0, math.nan, 3.0, 0.5]])
    edges, largest = bin_maxima(np.array([1, 2, 3, 4, 5, 6]), values, most=3)
    assert edges.tolist() == [0.5, 2.5, 4.5, 6.5]
    assert largest.tolist() == [[5.0, 2.0, 3.0]]
    edges, largest = bin_maxima(np.array([7, 8]), values[:, :2])
    assert (edges.tolist(), largest.tolist()) == ([6.5, 7.5, 8.5], [[1.0, 5.0]])


def test_a_long_run_makes_small_figures() -> None:
    layers = {f"layers.{i}": 0.123 for i in range(12)}
    history = History.of([BEGAN, *(step(i, 2 + math.sin(i), **layers) for i in range(1, 100_001))])
    for figure in (loss_curve(history, []), learning_rate_curve(history), gradient_map(history)):
        assert all(len(trace.x) <= max(MAX_POINTS, MAX_COLUMNS + 1) for trace in figure.data)
        assert len(figure.to_json()) < 300_000


def test_smoothing_has_no_bias_and_no_delay_in_short_runs() -> None:
    assert smoothed(np.full(5000, 3.0)) == pytest.approx(np.full(5000, 3.0))
    assert smoothed(np.array([5.0, 1.0, 2.0])).tolist() == [5.0, 1.0, 2.0]
    noisy = 3 + np.random.default_rng(0).normal(size=5000)
    assert smoothed(noisy)[1000:].std() < 0.2


def test_labels_are_text() -> None:
    assert label("<b>&</b>\n x") == "&lt;b&gt;&amp;&lt;/b&gt; x"
    assert label("$x$") == "&#36;x&#36;"
    assert label("x" * 99, 10) == "x" * 9 + "…"
    evil = "<img src=x onerror=alert(1)></script>"
    history = History.of([BEGAN, step(1, **{evil: 0.5}), RolledBack(2, 1, evil, 0.5)])
    for figure in (loss_curve(history, [(evil, 2.0)]), gradient_map(history)):
        assert "<img" not in str(figure.to_plotly_json())
        assert "&lt;img" in str(figure.to_plotly_json())
