"""Pictures of pages 4 and 8: the map of the embedding, and the curves of a run, over its steps where snapshots are
there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tinylm.learn.html.picture import Frame, Picture, single
from tinylm.learn.html.snapshots import Snapshot
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import LETTER, LINE, WIDTH, curve, line, svg, tag, visible, words
from tinylm.page.markup import escape_html
from tinylm.reports.history import History
from tinylm.reports.plots import downsample

Place = tuple[str, float, float]
_MAP_HEIGHT, _TOP, _BOTTOM, _LEFT = 260, 26, 190, 4
MOST_POINTS = 300


def embedding_map(subject: Subject) -> Picture:
    """The map of the embedding; of a run with snapshots, at each of them in the directions of the last."""
    if not subject.snapshots:
        found = subject.lm.explainer.embedding_map(sorted(set(subject.explanation.ids)))
        places = [(visible(point.token), point.x, point.y) for point in found.points]
        across, up = (round(100 * share) for share in found.explained)
        return single("A map of the embedding.", f"Each token of the sentence at its place in the two directions in "
                                                 f"which the vectors of "
                      f"all tokens differ most ({across} and {up} percent of the variance). What is near is used "
                      f"alike.",
                      draw_map(places, ""))
    last = subject.snapshots[-1].embedding
    directions, names = main_directions(last), [visible(subject.lm.tokenizer.token(id)) for id in range(len(last))]
    frames = tuple(Frame(f"step {each.step}", draw_map(
        [(name, *place) for name, place in zip(names, (centred(each.embedding) @ directions).tolist(), strict=True)],
        f"after {each.step} steps")) for each in subject.snapshots)
    return Picture("Rows that move.", "Each token at its place in the two directions in which the trained vectors "
                                      "differ most. They begin "
                   "at random; what occurs in like places moves together.", frames, len(frames) - 1, slider="steps")


def centred(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    return embedding - embedding.mean(axis=0)


def main_directions(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """The two directions (D, 2) of largest variance of the rows.

    >>> abs(main_directions(np.float32([[3, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]]))).round().tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """
    directions: NDArray[np.float32] = np.linalg.svd(centred(embedding), full_matrices=False)[2][:2].T
    return directions


def draw_map(places: Sequence[Place], when: str) -> str:
    """Tokens as dots with their names, on a map that is always as wide as its outermost ones."""
    furthest = max((max(abs(x), abs(y)) for _, x, y in places), default=0.0) or 1.0
    taken: list[tuple[float, float]] = []
    parts = [line(0, _MAP_HEIGHT / 2, WIDTH, _MAP_HEIGHT / 2), line(WIDTH / 2, 0, WIDTH / 2, _MAP_HEIGHT)]
    for name, across, up in places:
        x, y = WIDTH / 2 + across / furthest * 130, _MAP_HEIGHT / 2 - up / furthest * 110
        parts.append(tag("g", tag("title", escape_html(name)), tag("circle", cx=x, cy=y, r=4, class_="dot")))
        if all(abs(y - other) > 14 or abs(x - beside) > LETTER * 6 for beside, other in taken):
            taken.append((x, y))
            parts.append(words(x + 7, y + 4, name))
    parts.append(words(0, 12, when, class_="strong"))
    return svg(_MAP_HEIGHT, f"A map of {len(places)} tokens {when}".strip(), *parts)


def curves(subject: Subject) -> Picture:
    """The losses of the run against its steps; with snapshots, what the model says after the sentence at each."""
    history, snapshots = subject.history, subject.snapshots
    if not snapshots:
        return single("A run.", "The loss of each batch, and where text was held out, of that: where the second "
                                "rises while the first "
                      "falls, the model learns the text by heart (overfitting).", draw_curves(history, None))
    frames = tuple(Frame(f"step {each.step}", draw_curves(history, each, subject.text)) for each in snapshots)
    return Picture("A run.", "The loss of each batch against the steps, and what the model says after the sentence "
                             "at that step.",
                   frames, len(frames) // 2, slider="steps")


def draw_curves(history: History, snapshot: Snapshot | None, text: str = "") -> str:
    """The loss of the batches, that of the validations, and a snapshot below."""
    steps = [each for each in history.steps if math.isfinite(each.loss)]
    kept = [steps[i] for i in downsample(np.array([each.loss for each in steps]), MOST_POINTS)] if steps else []
    validated = [each for each in history.validations if math.isfinite(each.loss)]
    losses = [each.loss for each in (*kept, *validated)] or [0.0]
    high, last = max(losses), max([each.step for each in (*kept, *validated)], default=1)

    def place(step: int, loss: float) -> tuple[float, float]:
        return _LEFT + step / last * (WIDTH - 2 * _LEFT), _BOTTOM - loss / (high or 1.0) * (_BOTTOM - _TOP)

    parts = [line(0, _BOTTOM, WIDTH, _BOTTOM), words(0, 14, f"{high:.2f} nats a token", class_="number"),
             words(0, _BOTTOM + 16, "step 0", class_="number"),
             words(WIDTH, _BOTTOM + 16, f"step {last:,}", text_anchor="end", class_="number"),
             curve([place(each.step, each.loss) for each in kept])]
    if validated:
        parts += [curve([place(each.step, each.loss) for each in validated], "curve care"),
                  words(WIDTH, 14, "orange: held out", text_anchor="end", class_="number")]
    said = f"The loss falls from {losses[0]:.2f} to {losses[len(kept) - 1]:.2f} in {last:,} steps"
    if snapshot:
        x, _ = place(snapshot.step, 0.0)
        best = ", ".join(f"{visible(each.token)} {100 * each.probability:.0f} %" for each in snapshot.next)
        parts += [line(x, _TOP, x, _BOTTOM, "tangent"),
                  words(0, _BOTTOM + 2 * LINE, f"step {snapshot.step}, after “{text}”:", class_="strong"),
                  words(0, _BOTTOM + 3 * LINE, best)]
        said += f"; at step {snapshot.step} it says {best}"
    return svg(_BOTTOM + (3 * LINE if snapshot else LINE) + 6, said, *parts)
