"""Early stopping: the rule that ends a run whose validation loss has left its minimum for good.

Early stopping is the oldest regulariser of neural networks (Prechelt 1998, "Early Stopping - But When?"). The rule here
is one of patience: so many validations in a row that are clearly worse than the best. What counts as clearly follows
from the noise of the losses themselves, so that one rule serves short and long runs (LOG.md, "The doctor's limits").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

PATIENCE_VALIDATIONS = 5
"""Validations in a row that are worse than the best, after which a run is stopped; in a run with more than 20 of them
a quarter of all."""
MIN_RISE = 0.03
"""Share by which a validation loss must lie above the best to count as worse; it must also exceed `MIN_RISE_NOISES`."""
MIN_RISE_NOISES = 3.0
"""Standard deviations of the noise by which a validation loss must lie above the best to count as worse."""


def overfits(losses: Sequence[float], patience: int = PATIENCE_VALIDATIONS) -> bool:
    """True if the validation loss has left its minimum for good, so that further training is a waste.

    The last `patience` losses (of more than 20, the last quarter) are all clearly above the best, and do not come down
    again, as losses do when the learning rate decays. The best is one of medians of three, so a single lucky validation
    is not the best.

    Args:
        losses: of all validations so far, in nats a token, equally far apart; those that are not finite are left out.
        patience: validations in a row that must be worse.

    >>> overfits([3.0, 2.0, 1.5, 1.2, 1.1, 1.0])
    False
    >>> overfits([3.0, 2.0, 1.5, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1])
    True
    """
    losses = [loss for loss in losses if math.isfinite(loss)]
    patience = max(patience, patience * len(losses) // (4 * PATIENCE_VALIDATIONS))
    if len(losses) <= patience:
        return False
    best = min(median(losses[max(0, i - 1):i + 2]) for i in range(len(losses)))
    newest, half = losses[-patience:], patience // 2
    rising = fmean(newest[-half:]) >= fmean(newest[:half])
    return rising and min(newest) > best + max(MIN_RISE * best, MIN_RISE_NOISES * _noise(losses))


def _noise(losses: Sequence[float]) -> float:
    """Standard deviation of the part of a series that is no trend, from its second differences (those of white noise
    have a median of 1.65 standard deviations)."""
    return median(abs(a - 2 * b + c) for a, b, c in zip(losses, losses[1:], losses[2:], strict=False)) / 1.65
