"""What the doctor measures: running figures of noisy curves, in memory that does not grow with the run.

Losses and gradients of single batches say little. So the newest steps are taken together (a median, which one odd batch
does not move) and set against what was usual before them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import fmean, median
from typing import NamedTuple

WINDOW = 9
"""Steps that count as the newest. Most of them must be high for the loss to be called so."""
USUAL = 0.05
"""Weight of a new step in what is usual: it looks back some 20 steps."""
JUMP_DEVIATIONS, JUMP_SHARE, JUMP_NATS = 6.0, 0.15, 0.2
"""A jump is all of these above what is usual. In healthy runs, batches of one row too, the first stayed below 2."""


class LossCurve:
    """The loss of the batches, in nats a token.

    Attributes:
        steps: seen so far.
        start: the level of the first steps.
        usual: average of the steps before the newest.
    """

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=WINDOW)
        self._settled = 0
        self._deviation = 0.0
        self.steps = 0
        self.start = self.usual = math.nan

    def add(self, loss: float) -> None:
        if len(self._newest) == WINDOW:
            self._settle(self._newest[0])
        self._newest.append(loss)
        self.steps += 1
        if self.steps <= WINDOW:
            self.start = self.usual = self.level

    def _settle(self, loss: float) -> None:
        self._settled += 1
        weight = max(USUAL, 1 / self._settled)
        self._deviation += weight * (abs(loss - self.usual) - self._deviation)
        self.usual += weight * (loss - self.usual)

    @property
    def level(self) -> float:
        """Median of the newest steps; NaN before the first."""
        return median(self._newest) if self._newest else math.nan

    @property
    def jumped(self) -> bool:
        """Whether the newest steps are far above what was usual."""
        rise = self.level - self.usual
        return self._settled >= WINDOW and rise > max(JUMP_DEVIATIONS * self._deviation, JUMP_SHARE * self.usual,
                                                      JUMP_NATS)


class Validation(NamedTuple):
    """A validation, and the level of the training loss before it, both in nats a token; `epoch` counts how often the
    text had been read."""

    step: int
    loss: float
    training_loss: float
    epoch: float = 0.0

    @property
    def gap(self) -> float:
        """The share by which the training loss lies below the validation loss: 0.5 where it is half of it."""
        return (self.loss - self.training_loss) / self.loss if self.loss > 0 else 0.0


SETTLING = 20
"""First steps whose gradients are left out: weights that begin as zeros let none through."""
NEWEST, LONG_TERM = 0.1, 0.005
"""Weights of a new step in the averages of about 10 and of about 200 steps."""
FAR = 2.5
"""In powers of ten: a layer whose gradient is 300 times larger or smaller than that of the others is ill. In healthy
runs it stayed below 1.1, with a far too high learning rate as well."""
GROWN, LARGE = 2.0, 1.0
"""In powers of ten: a gradient that has grown a hundredfold, to a norm of 10 or more, explodes."""
SMALLEST = 1e-12
ENDS = ("ln_f", "out_head")
"""Not compared with the others: where layers begin as zeros these alone have gradients at first."""


class OddGradient(NamedTuple):
    """A layer whose gradient is not like it should be: its norm now, and what that is compared with."""

    layer: str
    norm: float
    usual: float
    compared_with: str

    @property
    def explodes(self) -> bool:
        return self.norm > self.usual


class LayerGradients:
    """The norm of the gradient of each layer, as running geometric means."""

    def __init__(self) -> None:
        self._steps = 0
        self._newest: dict[str, float] = {}
        self._long_term: dict[str, float] = {}

    def add(self, norms: Mapping[str, float]) -> None:
        self._steps += 1
        if self._steps <= SETTLING:
            return
        powers = {layer: math.log10(max(norm, SMALLEST)) for layer, norm in norms.items() if math.isfinite(norm)}
        for layer, power in powers.items():
            for averages, weight in (self._newest, NEWEST), (self._long_term, LONG_TERM):
                before = averages.get(layer, power)
                averages[layer] = before + max(weight, 1 / (self._steps - SETTLING)) * (power - before)

    def odd(self) -> OddGradient | None:
        """The layer that is furthest from all the others, else the one that has grown most, if that is far."""
        if self._steps < 2 * SETTLING:
            return None
        return self._unlike_the_others() or self._unlike_before()

    def _unlike_the_others(self) -> OddGradient | None:
        inner = {layer: power for layer, power in self._newest.items() if layer not in ENDS}
        if len(inner) < 3:  # of two that differ nobody can say which is the odd one
            return None
        others = {layer: fmean(power for other, power in inner.items() if other != layer) for layer in inner}
        layer = max(inner, key=lambda each: abs(inner[each] - others[each]))
        if abs(inner[layer] - others[layer]) < FAR:
            return None
        return OddGradient(layer, 10 ** inner[layer], 10 ** others[layer], "of the other layers")

    def _unlike_before(self) -> OddGradient | None:
        grown = {layer: power - self._long_term[layer] for layer, power in self._newest.items() if power >= LARGE}
        layer = max(grown, key=grown.__getitem__, default="")
        if not layer or grown[layer] < GROWN:
            return None
        return OddGradient(layer, 10 ** self._newest[layer], 10 ** self._long_term[layer], "before")
