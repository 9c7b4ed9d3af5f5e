"""Figures of a training run, from its events: the loss, the learning rate, the gradient of each layer.

Names in the records are text: plotly would read some tags in a label as markup, so every label is escaped. Colours are
middle tones that can be seen on a white page and on a black one; the page sets those of text and grid (html_page.html).
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tinylm.reports.history import History
from tinylm.training.events import Stepped

MAX_POINTS = 2000
"""Most points of a curve: more than a screen has columns."""
MAX_COLUMNS = 300
"""Most columns of a heat map."""
SMOOTHING = 0.01
"""The smoothed loss is an average over about this share of the steps."""
MAX_DRAWN = 1e100
"""Numbers from here on, and those that are not finite, are in no curve: nobody could see anything else beside them."""

TRAIN, VALIDATION, BASELINE, ROLLBACK = "#4a86c8", "#d9822b", "#8a9099", "#cf4f4f"

Numbers = NDArray[np.float64]


# ---- the three figures


def loss_curve(history: History, baselines: Sequence[tuple[str, float]]) -> go.Figure:
    """The loss in nats a token; on the right the same in bits a byte, where the size of the text is known.

    Args:
        baselines: names for people, and bits a byte: drawn as horizontal lines.
    """
    figure = _figure(history.steps, height=420, showlegend=True, hovermode="x unified")
    x, loss = _series(history.steps, "loss")
    _add_line(figure, x, loss, "training, each batch", TRAIN, width=1, opacity=0.4)
    for i, steps in enumerate(history.rolled_back):
        _add_line(figure, *_series(steps, "loss"), "taken back", ROLLBACK, width=1, opacity=0.6, showlegend=i == 0,
                  most=MAX_POINTS // len(history.rolled_back))
    _add_line(figure, x, smoothed(loss), "training, smoothed", TRAIN, width=2)
    _add_validations(figure, history)
    validations = [each.loss for each in history.validations if abs(each.loss) < MAX_DRAWN]
    _add_scale(figure, history, baselines, (x, loss), validations)
    for event in history.rollbacks:
        figure.add_vline(event.to_step, line={"color": ROLLBACK, "width": 1, "dash": "dot"},
                         annotation={"text": "rollback", "textangle": -90, "yanchor": "top", "font": {"size": 11},
                                     "hovertext": label(f"from step {event.step:,}: {event.where}")})
    return figure


def learning_rate_curve(history: History) -> go.Figure:
    """The learning rate at each step."""
    figure = _figure(history.steps, height=240, hovermode="x")
    _add_line(figure, *_series(history.steps, "learning_rate"), "learning rate", TRAIN, width=2)
    figure.update_yaxes(rangemode="tozero", tickformat="~g", fixedrange=True)
    figure.data[0].hovertemplate = "step %{x:,}: %{y:.3~g}<extra></extra>"
    return figure


def gradient_map(history: History) -> go.Figure:
    """The norm of the gradient of each layer as a heat map over the steps, on a logarithmic scale. Where a column
    stands for several steps it shows the largest norm among them. A norm of 0 is left blank."""
    rows = _gradients(history.steps)
    edges, largest = bin_maxima(np.array([step.step for step in history.steps]), np.array(list(rows.values())))
    with np.errstate(divide="ignore", invalid="ignore"):
        tens = np.log10(largest)
    tens[~np.isfinite(tens)] = np.nan
    figure = _figure(history.steps, height=100 + 24 * len(rows), margin={"l": 110, "r": 0, "t": 8, "b": 44})
    if not np.isnan(tens).all():
        powers = list(range(math.floor(np.nanmin(tens)), math.ceil(np.nanmax(tens)) + 1))
        figure.add_heatmap(
            x=edges, y=[label(name, 24) for name in rows], z=tens, customdata=largest,
            colorscale="Viridis", hovertemplate="%{y}, step %{x:,.0f}: %{customdata:.3~g}<extra></extra>",
            colorbar={"tickvals": powers, "ticktext": [f"{10.0 ** power:g}" for power in powers], "thickness": 10,
                      "outlinewidth": 0})
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, fixedrange=True)
    return figure


# ---- numbers


def smoothed(values: Numbers) -> Numbers:
    """An exponential moving average, without the bias of its beginning (Kingma and Ba 2014, section 3)."""
    keep = 1 - 1 / max(1.0, SMOOTHING * len(values))
    average, weight = 0.0, 0.0
    result = np.empty_like(values)
    for i, value in enumerate(values):
        average = keep * average + (1 - keep) * value
        weight = keep * weight + (1 - keep)
        result[i] = average / weight
    return result


def downsample(values: Numbers, most: int = MAX_POINTS) -> NDArray[np.int64]:
    """The indices of at most `most` values that look the same as a curve: of each stretch its lowest and its highest,
    and the two ends."""
    if len(values) <= most:
        return np.arange(len(values))
    stretches = np.array_split(np.arange(len(values)), max(1, (most - 2) // 2))
    extremes = [stretch[pick(values[stretch])] for stretch in stretches for pick in (np.argmin, np.argmax)]
    return np.unique([0, *extremes, len(values) - 1])


def bin_maxima(steps: NDArray[np.int64], values: Numbers, most: int = MAX_COLUMNS) -> tuple[Numbers, Numbers]:
    """Bins of consecutive steps, at most `most`: their edges (columns + 1), and the largest value of each,
    (rows, steps) -> (rows, columns)."""
    if not len(steps):
        return np.empty(0), np.empty((len(values), 0))
    starts = np.unique(np.linspace(0, len(steps), min(most, len(steps)), endpoint=False).astype(np.int64))
    edges = np.append(steps[starts], steps[-1] + 1) - 0.5
    return edges, np.fmax.reduceat(values, starts, axis=1)


def _series(steps: Sequence[Stepped], name: str) -> tuple[NDArray[np.int64], Numbers]:
    """Step numbers and values, of those steps where the value can be drawn."""
    x = np.array([step.step for step in steps], dtype=np.int64)
    y = np.array([getattr(step, name) for step in steps], dtype=np.float64)
    kept = np.abs(y) < MAX_DRAWN
    return x[kept], y[kept]


def _gradients(steps: Sequence[Stepped]) -> dict[str, list[float]]:
    """Gradient norms by name: of the whole model and of each layer, in the order a token travels."""
    names = list(dict.fromkeys(name for step in steps for name in step.layer_gradients))
    rows = {"all layers": [step.gradient_norm for step in steps]}
    return rows | {name: [step.layer_gradients.get(name, math.nan) for step in steps] for name in names}


# ---- drawing


def label(text: str, most: int = 60) -> str:
    """Foreign text for a figure: one short line, in which no tag is markup and no dollar begins a formula."""
    line = " ".join(text.split())
    return html.escape(line if len(line) <= most else line[:most - 1] + "…").replace("$", "&#36;")


def _figure(steps: Sequence[Stepped], **layout: object) -> go.Figure:
    """An empty figure over all steps of a run."""
    clear = "rgba(0,0,0,0)"
    figure = go.Figure(layout={
        "template": go.layout.Template(), "paper_bgcolor": clear, "plot_bgcolor": clear,
        "font": {"family": "system-ui, sans-serif", "size": 12}, "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": clear},
        "margin": {"l": 52, "r": 52, "t": 8, "b": 44}, **layout})
    first, last = (steps[0].step, steps[-1].step) if steps else (0, 1)
    figure.update_xaxes(title="step", tickformat=",", showgrid=False, zeroline=False, spikethickness=1,
                        range=[first - 0.01 * (last - first) - 0.5, last + 0.01 * (last - first) + 0.5])
    figure.update_yaxes(zeroline=False, automargin=True)
    return figure


def _add_line(figure: go.Figure, x: NDArray[np.int64], y: Numbers, name: str, color: str, *, width: int,
              opacity: float = 1.0, showlegend: bool = True, most: int = MAX_POINTS) -> None:
    kept = downsample(y, most)
    figure.add_scatter(x=x[kept], y=y[kept], name=name, mode="lines", opacity=opacity,
                       showlegend=showlegend, line={"color": color, "width": width}, hovertemplate="%{y:.4f}")


def _add_validations(figure: go.Figure, history: History) -> None:
    finite = [each for each in history.validations if abs(each.loss) < MAX_DRAWN]
    kept = [finite[i] for i in downsample(np.array([each.loss for each in finite]))]
    if not kept or history.best is None:
        return
    bits = [each.loss * (history.bits_per_byte_per_nat or math.nan) + history.left_out_bits for each in kept]
    figure.add_scatter(
        x=[each.step for each in kept], y=[each.loss for each in kept], customdata=bits, name="validation",
        mode="lines+markers", line={"color": VALIDATION, "width": 2}, marker={"size": 5},
        hovertemplate="%{y:.4f}" + (" (%{customdata:.3f} bits a byte)" if history.bits_per_byte_per_nat else ""))
    figure.add_scatter(
        x=[history.best.step], y=[history.best.loss], name=f"best: step {history.best.step:,}", mode="markers",
        hoverinfo="skip", marker={"size": 13, "symbol": "circle-open", "color": VALIDATION, "line": {"width": 2}})


def _add_scale(figure: go.Figure, history: History, baselines: Sequence[tuple[str, float]],
               batches: tuple[NDArray[np.int64], Numbers], validations: list[float]) -> None:
    """The range of the loss and, in step with it, the axis of bits a byte with the baselines. Neither axis can be
    zoomed alone. One batch in a hundred may leave the range where it is far above the others; the highest of these is
    written beside the curve."""
    ratio, rest = history.bits_per_byte_per_nat, history.left_out_bits
    baselines = [(name, bits) for name, bits in baselines if ratio and abs(bits) < MAX_DRAWN]
    ordinary = np.sort(batches[1])[:len(batches[1]) - len(batches[1]) // 100]
    shown = [*validations, *ordinary, *((bits - rest) / ratio for _, bits in baselines if ratio)] or [0.0, 1.0]
    low, high = min(shown), max(shown)
    highest = max([high, *batches[1]])
    if highest > low + 1.5 * (high - low):
        figure.add_annotation(x=batches[0][batches[1].argmax()], y=1, yref="paper", yanchor="top", showarrow=False,
                              text=f"↑ {highest:.4g}")
    else:
        high = highest
    margin = 0.05 * (high - low) or 0.5
    bounds = [low - margin, high + margin]
    figure.update_layout(yaxis={"title": "nats a token", "range": bounds, "fixedrange": True})
    if ratio is None:
        return
    figure.update_layout(yaxis2={"title": "bits a byte", "overlaying": "y", "side": "right", "showgrid": False,
                                 "zeroline": False, "fixedrange": True, "automargin": True,
                                 "tickmode": "auto", "range": [bound * ratio + rest for bound in bounds]})
    ends = [history.steps[0].step, history.steps[-1].step] if history.steps else [0, 1]
    figure.add_scatter(x=ends, y=[None, None], yaxis="y2", showlegend=False, hoverinfo="skip")  # an axis needs a curve
    _add_baselines(figure, baselines, ends, (bounds[1] - bounds[0]) * ratio)


def _add_baselines(figure: go.Figure, baselines: Sequence[tuple[str, float]], ends: list[int], height: float) -> None:
    """Names stand at the right end, and further left where another one is just below."""
    before, column = -math.inf, 0
    for name, bits in sorted(baselines, key=lambda each: each[1]):
        column = (column + 1) % 3 if bits - before < 0.06 * height else 0
        before = bits
        figure.add_scatter(x=ends, y=[bits, bits], yaxis="y2", mode="lines", showlegend=False, hoverinfo="skip",
                           line={"color": BASELINE, "width": 1, "dash": "dash"})
        figure.add_annotation(xref="paper", x=1 - 0.33 * column, yref="y2", y=bits, xanchor="right", yanchor="bottom",
                              xshift=-6, text=f"{label(name)} {bits:.2f}", showarrow=False, font={"size": 11})
