"""The doctor's statistics: running averages of noisy curves, in memory that does not grow with the run.

Losses and gradients of single batches say little. So the newest steps are taken together (a median, which one odd batch
does not move) and compared with the usual value of the steps before them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import fmean, median
from typing import NamedTuple

NEWEST_STEPS = 9
"""Steps that count as the newest. Most of them must be high for the loss to be called high."""
USUAL_WEIGHT = 0.05
"""Weight of a new step in the usual value, an exponential moving average over some 20 steps."""
JUMP_DEVIATIONS, JUMP_SHARE, JUMP_NATS = 6.0, 0.15, 0.2
"""A jump lies above the usual value by so many deviations, by this share of it, and by so many nats. In healthy runs,
batches of one row included, jumps stayed below 2 deviations."""


class LossCurve:
    """The loss of the batches, in nats a token.

    Attributes:
        steps: seen so far.
        start: the level of the first steps.
        usual: average of the steps before the newest.
    """

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=NEWEST_STEPS)
        self._settled = 0
        self._deviation = 0.0
        self.steps = 0
        self.start = self.usual = math.nan

    def add(self, loss: float) -> None:
        if len(self._newest) == NEWEST_STEPS:
            self._settle(self._newest[0])
        self._newest.append(loss)
        self.steps += 1
        if self.steps <= NEWEST_STEPS:
            self.start = self.usual = self.level

    def _settle(self, loss: float) -> None:
        self._settled += 1
        weight = max(USUAL_WEIGHT, 1 / self._settled)
        self._deviation += weight * (abs(loss - self.usual) - self._deviation)
        self.usual += weight * (loss - self.usual)

    @property
    def level(self) -> float:
        """Median loss of the newest steps; NaN before the first."""
        return median(self._newest) if self._newest else math.nan

    @property
    def jumped(self) -> bool:
        """True if the newest steps are far above the usual value."""
        rise = self.level - self.usual
        return self._settled >= NEWEST_STEPS and rise > max(JUMP_DEVIATIONS * self._deviation, JUMP_SHARE * self.usual,
                                                      JUMP_NATS)


class Validation(NamedTuple):
    """A validation, with the training loss of the steps before it.

    Attributes:
        loss: on the validation text, in nats a token.
        training_loss: the level of the training loss, in nats a token.
        epoch: how often the training text had been read.

    >>> Validation(step=100, loss=2.0, training_loss=1.0).gap
    0.5
    """

    step: int
    loss: float
    training_loss: float
    epoch: float = 0.0

    @property
    def gap(self) -> float:
        """The share by which the training loss lies below the validation loss."""
        return (self.loss - self.training_loss) / self.loss if self.loss > 0 else 0.0


SETTLING_STEPS = 20
"""First steps whose gradients are left out: weights that begin as zeros let no gradient through."""
NEWEST_WEIGHT, LONG_TERM_WEIGHT = 0.1, 0.005
"""Weights of a new step in the averages of about 10 and of about 200 steps."""
ODD_POWERS = 2.5
"""Powers of ten: a layer is odd if its gradient is 300 times larger or smaller than that of the others. In healthy runs
the difference stayed below 1.1, with a far too high learning rate as well."""
EXPLOSION_POWERS, LARGE_POWER = 2.0, 1.0
"""Powers of ten: a gradient explodes if it has grown a hundredfold, to a norm of 10 or more."""
MIN_NORM = 1e-12
OUTPUT_LAYERS = ("ln_f", "out_head")
"""Layers that are not compared with the others: if layers begin as zeros, these alone have gradients at first."""


class OddGradient(NamedTuple):
    """A layer with an odd gradient.

    Attributes:
        norm: of the layer's gradient now.
        usual: the norm that it is compared with.
        compared_with: whose norm that is: "of the other layers" or "before".
    """

    layer: str
    norm: float
    usual: float
    compared_with: str

    @property
    def explodes(self) -> bool:
        return self.norm > self.usual


class LayerGradients:
    """The gradient norms of the layers, as running geometric means."""

    def __init__(self) -> None:
        self._steps = 0
        self._newest: dict[str, float] = {}
        self._long_term: dict[str, float] = {}

    def add(self, norms: Mapping[str, float]) -> None:
        self._steps += 1
        if self._steps <= SETTLING_STEPS:
            return
        powers = {layer: math.log10(max(norm, MIN_NORM)) for layer, norm in norms.items() if math.isfinite(norm)}
        for layer, power in powers.items():
            for averages, weight in (self._newest, NEWEST_WEIGHT), (self._long_term, LONG_TERM_WEIGHT):
                before = averages.get(layer, power)
                averages[layer] = before + max(weight, 1 / (self._steps - SETTLING_STEPS)) * (power - before)

    def odd(self) -> OddGradient | None:
        """The layer that is furthest from all the others, else the one that has grown most; None if neither is far."""
        if self._steps < 2 * SETTLING_STEPS:
            return None
        return self._unlike_the_others() or self._unlike_before()

    def _unlike_the_others(self) -> OddGradient | None:
        inner = {layer: power for layer, power in self._newest.items() if layer not in OUTPUT_LAYERS}
        if len(inner) < 3:  # of two layers that differ, either may be the odd one
            return None
        others = {layer: fmean(power for other, power in inner.items() if other != layer) for layer in inner}
        layer = max(inner, key=lambda each: abs(inner[each] - others[each]))
        if abs(inner[layer] - others[layer]) < ODD_POWERS:
            return None
        return OddGradient(layer, 10 ** inner[layer], 10 ** others[layer], "of the other layers")

    def _unlike_before(self) -> OddGradient | None:
        grown = {layer: power - self._long_term[layer] for layer, power in self._newest.items() if power >= LARGE_POWER}
        layer = max(grown, key=grown.__getitem__, default="")
        if not layer or grown[layer] < EXPLOSION_POWERS:
            return None
        return OddGradient(layer, 10 ** self._newest[layer], 10 ** self._long_term[layer], "before")
