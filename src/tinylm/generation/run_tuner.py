"""The run tuner: how many steps a batch does in one call, where somebody reads along or waits to join."""

from __future__ import annotations

import time

from tinylm.generation.batch import Batch, NewTokens

MAX_RUN_SECONDS = 0.01
"""Duration that a run should have at most: nobody then sees a text halt, or waits long to join."""


class RunTuner:
    """Chooses the number of steps of each run by the duration of the one before.

    Args:
        max_steps: the largest number of steps of a run.
        growth: the factor by which runs get longer while they are quick.
    """

    def __init__(self, max_steps: int, growth: int = 4) -> None:
        self._max_steps, self._growth, self._steps = max_steps, growth, 1

    def run(self, batch: Batch) -> list[NewTokens]:
        """A run of the batch, as `Batch.run`, that should take no longer than `MAX_RUN_SECONDS`."""
        began = time.perf_counter()
        new = batch.run(self._steps)
        seconds = time.perf_counter() - began
        done = max((len(each.ids) for each in new), default=1)
        affordable = int(max(1, done) * MAX_RUN_SECONDS / seconds)
        self._steps = max(1, min(self._max_steps, self._growth * self._steps, affordable))
        return new
