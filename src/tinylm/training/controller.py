"""The controller of a run: asked once a step, it decides what the loop does next.

The loop trains, validates, saves and ends; when, the controller says. So every clock, signal and rule that the course
of a run depends on stands behind one question, and several processes that train one model agree by sharing one answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import NamedTuple, Protocol, get_args

from tinylm.config.schema import TrainConfig
from tinylm.training.early_stopping import overfits
from tinylm.training.events import StopReason
from tinylm.training.schedule import VALIDATIONS, Horizon, learning_rate_factor
from tinylm.training.world import World

_REASONS: tuple[StopReason, ...] = get_args(StopReason)


@dataclass
class TrainingState:
    """The state of a run besides its tensors, as a checkpoint keeps it (state.json has the same names).

    Attributes:
        step: updates so far.
        tokens_seen: tokens of the batches so far.
        best_loss: the lowest validation loss in nats a token; None before the first validation.
        best_step: the step of the best weights.
        losses: of all validations, in nats a token.
        validated_step: the step of the last validation.
        validation_seconds: that the last validation took.
        next_validation: the progress at which the next validation is due.
        learning_rate_scale: what rollbacks have left of the planned learning rate.
        failed_step: the step in which a number was last not finite; 0: never.
    """

    step: int = 0
    tokens_seen: int = 0
    best_loss: float | None = None
    best_step: int = 0
    losses: list[float] = field(default_factory=list)
    validated_step: int = 0
    validation_seconds: float = math.inf
    next_validation: float = 1 / VALIDATIONS
    learning_rate_scale: float = 1.0
    failed_step: int = 0


class Decision(NamedTuple):
    """A controller's answer: the loop validates, if that is due, and asks again; then it stops, or makes a step.

    Attributes:
        validate: measure the validation loss before anything else, where there is a validation text.
        stop: the reason to end the run; None to go on.
        save: write a checkpoint before the step.
        learning_rate_factor: the share of the peak learning rate that the step takes.
        is_last: nothing follows but the end: a validation is then carried through, whoever asks to stop.
    """

    validate: bool = False
    stop: StopReason | None = None
    save: bool = False
    learning_rate_factor: float = 1.0
    is_last: bool = False


class Controller(Protocol):
    """Decides on the course of a run. The loop asks before each step, and once more after a validation."""

    def begin(self, state: TrainingState) -> None:
        """Plans a run that begins at `state`: with its first step, or where a checkpoint was made."""

    def decide(self, state: TrainingState) -> Decision:
        """Answers what comes next."""

    def validated(self, state: TrainingState) -> None:
        """Plans the next validation, after one whose loss and seconds are in `state`."""

    def stop_requested(self) -> bool:
        """True if somebody asked the run to stop: a validation under way is then given up."""


@dataclass
class ScheduleController:
    """The controller of one process: schedule, clock, early stopping, and the person at the keyboard.

    Args:
        config: of the schedule: warm-up, decay, `evaluate_every`, `target_loss`.
        horizon: the end of the run, in steps or in minutes.
        validations: about how many in a run of steps; the most in a run of minutes.
        should_stop: true once the run was asked to stop, such as by Ctrl-C.
        should_save: true if a checkpoint is due.

    >>> from tinylm.training.schedule import StepHorizon
    >>> controller = ScheduleController(TrainConfig(steps=10, warmup_steps=0, decay="linear"), StepHorizon(10))
    >>> controller.decide(TrainingState(step=5)).learning_rate_factor
    0.5
    >>> controller.decide(TrainingState(step=10)).stop
    'finished'
    """

    config: TrainConfig
    horizon: Horizon
    validations: int = VALIDATIONS
    should_stop: Callable[[], bool] = lambda: False
    should_save: Callable[[], bool] = lambda: False

    def begin(self, state: TrainingState) -> None:
        if state.step == 0:
            state.next_validation = 1 / self.validations
        elif state.next_validation > 1:  # the run had ended, and has been given more steps
            state.next_validation = self.horizon.progress(state.step) + 1 / self.validations
        self.horizon.reserve_validation(state.validation_seconds)

    def decide(self, state: TrainingState) -> Decision:
        progress = self.horizon.progress(state.step)
        return Decision(validate=self._validation_is_due(state, progress),
                        stop=self._reason_to_stop(state, progress),
                        save=state.step > 0 and self.should_save(),
                        learning_rate_factor=learning_rate_factor(state.step, progress, self.config),
                        is_last=progress >= 1)

    def validated(self, state: TrainingState) -> None:
        state.next_validation = self.horizon.next_validation(state.step, state.next_validation, self.validations,
                                                             state.validation_seconds)

    def stop_requested(self) -> bool:
        return self.should_stop()

    def _validation_is_due(self, state: TrainingState, progress: float) -> bool:
        """True every `evaluate_every` steps, else about `validations` times in a run; and at its end."""
        if state.step in (0, state.validated_step):
            return False
        if progress < 1 and self.config.evaluate_every is not None:
            return state.step % self.config.evaluate_every == 0
        return progress >= min(1.0, state.next_validation)

    def _reason_to_stop(self, state: TrainingState, progress: float) -> StopReason | None:
        target, best = self.config.target_loss, state.best_loss
        if target is not None and best is not None and best <= target:
            return "until"
        if progress >= 1:
            return "finished"
        if overfits(state.losses):
            return "overfitting"
        return "interrupted" if self.should_stop() else None


@dataclass
class SharedController:
    """The controller of a rank: rank 0 decides for all, and a rank that was asked to stop stops all.

    Args:
        own: the controller of rank 0; None on the others.
        should_stop: true once this process was asked to stop.
    """

    world: World
    own: Controller | None = None
    should_stop: Callable[[], bool] = lambda: False

    def begin(self, state: TrainingState) -> None:
        if self.own:
            self.own.begin(state)

    def decide(self, state: TrainingState) -> Decision:
        own = self.own.decide(state) if self.own else Decision()
        answers = self.world.gather([own.validate, _REASONS.index(own.stop) if own.stop else -1, own.save,
                                     own.learning_rate_factor, own.is_last, self.stop_requested()])
        validate, reason, save, factor, is_last, _ = answers[0]
        stop = _REASONS[int(reason)] if reason >= 0 else None
        if stop is None and any(asked for *_, asked in answers):
            stop = "interrupted"
        return Decision(bool(validate), stop, bool(save), factor, bool(is_last))

    def validated(self, state: TrainingState) -> None:
        """Plans the next validation, and makes the state that of rank 0, whose clock counts."""
        if self.own:
            self.own.validated(state)
        for name, value in self.world.share(asdict(state)).items():
            setattr(state, name, value)

    def stop_requested(self) -> bool:
        return self.should_stop() or (self.own is not None and self.own.stop_requested())
