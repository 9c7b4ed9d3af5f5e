"""The schedule of a run: learning rate and validations as functions of the step and of the run's progress.

A horizon says how far a run has come. `StepHorizon` counts steps, so such a run is the same on every machine;
`TimeHorizon` looks at the clock at every step, so that a run of some minutes ends in time however fast the machine is
at the moment.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Protocol

from tinylm.config.schema import TrainConfig

VALIDATIONS, MIN_VALIDATIONS = 20, 2
"""Validations of a run: about so many, and the fewest."""
TRAINED_PER_VALIDATED_TOKEN = 7
"""Training tokens of a run of steps for each token that it validates, so that a short run does not spend its time on
validation."""
VALIDATION_SHARE = 0.05
"""The largest share of a time budget that goes into validations and their samples; a slow one comes less often."""
MAX_FINISHING_SHARE = 0.25
"""The largest share of a time budget that is kept for the end, however slow the machine is at the moment."""
LAST_VALIDATION_MARGIN = 1.2
"""Time kept for the last validation of a run of minutes, in terms of what the slowest before it took."""


def learning_rate_factor(step: int, progress: float, config: TrainConfig) -> float:
    """The share of the peak learning rate that a step takes.

    A linear warm-up over `warmup_steps` is multiplied with a decay ("constant", "linear" or "cosine", the last after
    Loshchilov & Hutter 2016, arXiv 1608.03983) from 1 to `final_learning_rate`.

    Args:
        step: from 0.
        progress: the share of the run that lies behind, in [0, 1].

    >>> config = TrainConfig(steps=100, warmup_steps=4, decay="linear", final_learning_rate=0.1)
    >>> [round(learning_rate_factor(step, step / 100, config), 3) for step in (0, 1, 50, 100)]
    [0.2, 0.396, 0.55, 0.1]
    """
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    left = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[config.decay]
    return warmup * (config.final_learning_rate + (1 - config.final_learning_rate) * left)


def count_validations(train_tokens: float, validation_tokens: int) -> int:
    """The number of validations of a run of steps. It follows from the arguments alone, so that the run is the same on
    every machine.

    Args:
        train_tokens: that the run trains on, all epochs together.
        validation_tokens: of one validation.

    >>> count_validations(1e6, 5_000), count_validations(1e4, 5_000)
    (20, 2)
    """
    affordable = train_tokens / TRAINED_PER_VALIDATED_TOKEN / max(1, validation_tokens)
    return round(min(VALIDATIONS, max(MIN_VALIDATIONS, affordable)))


class Horizon(Protocol):
    """The end of a run, and what follows from its distance."""

    def progress(self, step: int) -> float:
        """The share of the run that lies behind after `step` steps: from 0 up to 1, which is the end."""

    def time_left(self, step: int) -> float:
        """An estimate of the seconds until the end; infinite where there is nothing to estimate from."""

    def next_validation(self, step: int, due: float, most: int, seconds: float) -> float:
        """The progress at which the next validation is due, once one has been made.

        Args:
            due: the progress at which the validation that has been made was due.
            most: validations in a whole run.
            seconds: that the validation took.
        """

    def reserve_validation(self, seconds: float) -> None:
        """Keeps time for the last validation, when the slowest so far took `seconds` (infinite: none was made)."""

    def count_sampling(self, seconds: float) -> None:
        """Counts the seconds of a sample to those of each validation, which it follows."""

    def reserve_finishing(self, seconds: float) -> None:
        """Keeps time for writing all down and leaving."""


@dataclass
class StepHorizon:
    """The end after a number of steps.

    Args:
        steps: of the whole run.
        first: the step that this process begins with; its speed is measured from there.
        started: a reading of time.perf_counter at `first`.

    >>> [StepHorizon(8).progress(step) for step in (0, 4, 8, 9)]
    [0.0, 0.5, 1.0, 1.0]
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

    def next_validation(self, step: int, due: float, most: int, seconds: float) -> float:  # noqa: ARG002
        """Validations lie equally far apart, whatever they take."""
        while due <= self.progress(step):
            due += 1 / most
        return due

    def reserve_validation(self, seconds: float) -> None:
        """Does nothing: steps are made however long they take."""

    def count_sampling(self, seconds: float) -> None:
        """Does nothing: validations lie equally far apart."""

    def reserve_finishing(self, seconds: float) -> None:
        """Does nothing: steps are made however long they take."""


@dataclass
class TimeHorizon:
    """The end at a point of time, less what must still follow the last step; or after `most_steps`, if they come first.

    Args:
        seconds: the whole budget, from `started` on.
        started: a reading of time.perf_counter; for a run that was resumed, moved back by the time it had used.
        validating: seconds kept for the last validation.
        finishing: seconds kept for writing all down and leaving.
        sampling: seconds of the sample that follows a validation.
        most_steps: the end by steps.
    """

    seconds: float
    started: float
    validating: float = 0.0
    finishing: float = 0.0
    sampling: float = 0.0
    most_steps: float = math.inf

    def progress(self, step: int) -> float:
        length = max(self.seconds - self.validating - self.finishing, 1e-9)
        in_time = (time.perf_counter() - self.started) / length
        return min(1.0, max(0.0, in_time, step / self.most_steps))

    def time_left(self, step: int) -> float:
        used = time.perf_counter() - self.started
        by_steps = used * (self.most_steps / step - 1) if step else math.inf
        return max(0.0, min(self.seconds - used, by_steps))

    def next_validation(self, step: int, due: float, most: int, seconds: float) -> float:  # noqa: ARG002
        """Validations come as often as `VALIDATION_SHARE` of the budget pays for with their samples, and at most `most`
        times."""
        self.reserve_validation(seconds)
        affordable = VALIDATION_SHARE * self.seconds / max(seconds + self.sampling, 1e-9)
        return self.progress(step) + 1 / min(most, max(MIN_VALIDATIONS, affordable))

    def reserve_validation(self, seconds: float) -> None:
        if math.isfinite(seconds):
            self.validating = max(self.validating, LAST_VALIDATION_MARGIN * seconds)

    def count_sampling(self, seconds: float) -> None:
        self.sampling = seconds

    def reserve_finishing(self, seconds: float) -> None:
        self.finishing = min(seconds, MAX_FINISHING_SHARE * self.seconds)
