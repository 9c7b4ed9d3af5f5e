"""When the learning rate is what: pure functions of the step and of how far the run has come.

How far it has come is the horizon's to say. Steps and epochs are counted, so such a run is the same on every machine; a
run of some minutes looks at the clock at every step, so that it ends in time however fast the machine is at the moment.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Protocol

from tinylm.config.schema import TrainConfig


def learning_rate_factor(step: int, progress: float, config: TrainConfig) -> float:
    """The share of the peak learning rate in step `step` (from 0), `progress` in [0, 1] of the way.

    A linear warm-up of `warmup_steps`, and over it a decay to `final_learning_rate` at progress 1.
    """
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    left = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[config.decay]
    return warmup * (config.final_learning_rate + (1 - config.final_learning_rate) * left)


class Horizon(Protocol):
    """Where a run ends."""

    def progress(self, step: int) -> float:
        """How far the run has come after `step` steps: from 0 up to 1, which is its end."""

    def time_left(self, step: int) -> float:
        """Seconds, as far as can be told."""


@dataclass
class StepHorizon:
    """Ends after a number of steps.

    Args:
        first: the step that this process begins with: it measures its speed from there.
    """

    steps: int
    first: int = 0
    started: float = field(default_factory=time.perf_counter)

    def progress(self, step: int) -> float:
        return min(1.0, step / self.steps)

    def time_left(self, step: int) -> float:
        if step <= self.first:
            return math.inf
        return (time.perf_counter() - self.started) / (step - self.first) * (self.steps - step)


@dataclass
class TimeHorizon:
    """Ends at a point of time, less what must still follow the last step; or after `most_steps`, if they come first.

    Args:
        seconds: the whole budget, from `started` on.
        started: a reading of time.perf_counter; for a run that was resumed, moved back by the time it had used.
        validating, finishing: seconds kept for the last validation, and for writing all down and leaving.
    """

    seconds: float
    started: float
    validating: float = 0.0
    finishing: float = 0.0
    most_steps: float = math.inf

    def progress(self, step: int) -> float:
        length = max(self.seconds - self.validating - self.finishing, 1e-9)
        in_time = (time.perf_counter() - self.started) / length
        return min(1.0, max(0.0, in_time, step / self.most_steps))

    def time_left(self, step: int) -> float:
        used = time.perf_counter() - self.started
        by_steps = used * (self.most_steps / step - 1) if step else math.inf
        return max(0.0, min(self.seconds - used, by_steps))
