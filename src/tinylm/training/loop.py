"""The loop: an iterator of events. It knows rows of ids and a model that scores them, and nothing of language.

Whoever iterates it trains; whoever stops iterating stops training.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tinylm.config.schema import TrainConfig
from tinylm.training.backend import REFERENCE, Compute, TrainingBackend
from tinylm.training.checkpoint import State
from tinylm.training.diagnostics.doctor import overfits
from tinylm.training.diagnostics.nonfinite import all_finite, locate_nonfinite
from tinylm.training.evaluate import Interrupted
from tinylm.training.events import Event, Finished, RolledBack, Stepped, StopReason, Validated
from tinylm.training.loss import Batch
from tinylm.training.optimizer import Optimizer, load_optimizer_state, optimizer_state, scale_learning_rate
from tinylm.training.schedule import Horizon, TimeHorizon, learning_rate_factor
from tinylm.training.step import train_step

VALIDATIONS, MIN_VALIDATIONS = 20, 2
"""About so many in a run, and the fewest."""
TRAINED_PER_VALIDATED_TOKEN = 7
"""A run of steps trains on so many for each that it judges, so that a short one does not spend its time on judging."""
VALIDATION_SHARE = 0.05
"""Most of a time budget that goes into validation; the fewer of them then."""
QUICK_SECONDS = 3.0
"""A run that was asked to stop still takes time for a validation that is known to be as quick as this."""
LEARNING_RATE_BACKOFF = 0.5
"""What the learning rate is multiplied with when numbers were not finite."""
STEPS_BETWEEN_ROLLBACKS = 1000
"""Numbers that are not finite again so soon after the last time end the run."""


def count_validations(tokens: float, judged: int) -> int:
    """How many a run of steps has that trains on so many tokens, each of `judged` tokens. It follows from these alone,
    so that the run is the same on every machine."""
    return round(min(VALIDATIONS, max(MIN_VALIDATIONS, tokens / TRAINED_PER_VALIDATED_TOKEN / max(1, judged))))


class BatchSource(Protocol):
    """Rows of ids; `batch` is a pure function of the step."""

    rows_per_epoch: int

    def batch(self, step: int, batch_size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...


@dataclass
class Training:
    """A run.

    Args:
        model: scores ids; trained in place.
        optimizers: of its parameters, with their peak learning rates (optimizer.py).
        rows: what it reads.
        validate: the loss on the validation text in nats a token (may raise `Interrupted`), or None if there is none.
        should_stop: asked between steps; true ends the run in good order.
        load_last_good: an earlier, good state of this run, to go back to when numbers are no longer finite; None if
            there is none, and the run ends then.
        compute: on which device, and by which path.
        validations: about how many in a run of steps; in a run of minutes the most.
    """

    model: nn.Module
    optimizers: Sequence[Optimizer]
    rows: BatchSource
    config: TrainConfig
    horizon: Horizon
    validate: Callable[[], float] | None = None
    should_stop: Callable[[], bool] = lambda: False
    compute: Compute = REFERENCE
    load_last_good: Callable[[], State] | None = None
    validations: int = VALIDATIONS

    def __post_init__(self) -> None:
        self.ending = False
        """True from the last step on: a request to stop has been heard then, and need not end the last validation."""
        self._numbers = _Numbers(next_validation=1 / self.validations)
        self._backend = TrainingBackend(self.model, self.compute)
        self._best_weights: dict[str, Tensor] = {}
        self._is_best = False
        """The weights are the best ones themselves: they have just been validated."""
        self._reason: StopReason | None = None
        self._where = ""
        self._layers = [layer_of(name) for name, _ in self.model.named_parameters()]

    @property
    def step(self) -> int:
        """Updates so far."""
        return self._numbers.step

    @property
    def best_loss(self) -> float | None:
        return self._numbers.best_loss

    def events(self) -> Iterator[Event]:
        """Trains to the end, and tells what happens."""
        yield from self.steps()
        yield from self.end()

    def steps(self) -> Iterator[Event]:
        """Trains until something ends it. Between any two events the run can be saved (`state`), and one that is
        restored goes on as if nothing had been."""
        self.model.train()
        self.ending, self._reason = False, None
        while True:
            if self._validation_is_due():
                yield from self._validated()
            self._reason = self._reason or self._reason_to_stop()
            if self._reason is not None:
                self.ending = True
                return
            yield from self._stepped()

    def end(self) -> Iterator[Event]:
        """Keeps the best weights. A run that was asked to stop takes time for a quick validation of its newest ones."""
        assert self._reason is not None, "steps() comes first"
        if self._reason == "interrupted" and self._numbers.validation_seconds < QUICK_SECONDS:
            yield from self._validated()
        self._keep_best()
        numbers = self._numbers
        yield Finished(numbers.step, self._reason, numbers.best_step, numbers.best_loss, numbers.tokens_seen,
                       self._where)

    def state(self) -> State:
        """Where the run is. The tensors are those in use, not copies: save them before the next step."""
        weights = dict(self.model.named_parameters())
        best = {"best": self._best_weights} if self._best_weights and not self._is_best else {}
        return State({"weights": weights, "moments": optimizer_state(self.model, self.optimizers), **best},
                     asdict(self._numbers))

    def restore(self, state: State) -> None:
        """Goes on from an earlier moment.

        Raises:
            TypeError, KeyError, RuntimeError: the state is not of this model.
        """
        self._numbers = _Numbers(**state.numbers)
        self._load(state.tensors["weights"])
        load_optimizer_state(self.model, self.optimizers, state.tensors["moments"])
        best = state.tensors.get("best")
        self._is_best = best is None and self._numbers.best_loss is not None
        self._best_weights = self._weights() if self._is_best else dict(best or {})
        if self._numbers.next_validation > 1:  # the run had ended, and has been given more steps
            self._numbers.next_validation = self.horizon.progress(self.step) + 1 / self.validations
        self._reserve_validation()

    # ---- a step

    def _stepped(self) -> Iterator[Event]:
        numbers = self._numbers
        progress = self.horizon.progress(numbers.step)
        factor = learning_rate_factor(numbers.step, progress, self.config) * numbers.learning_rate_scale
        scale_learning_rate(self.optimizers, factor)
        batches = self._batches()
        seed = int(np.random.SeedSequence([self.config.seed, numbers.step]).generate_state(1)[0])
        result = train_step(self.model, self.optimizers, batches, grad_clip=self.config.grad_clip, dropout_seed=seed,
                            backend=self._backend)
        if not result.applied:
            yield from self._not_finite(numbers.step + 1, batches, result.gradient_norms)
            return
        self._is_best = False
        numbers.step += 1
        numbers.tokens_seen += sum(inputs.numel() for inputs, _ in batches)
        epoch = numbers.step * self.config.gradient_accumulation * self.config.batch_size / self.rows.rows_per_epoch
        yield Stepped(numbers.step, result.loss, self.config.learning_rate * factor, result.gradient_norm,
                      self._by_layer(result.gradient_norms), numbers.tokens_seen, epoch)

    def _batches(self) -> list[Batch]:
        first = self.step * self.config.gradient_accumulation
        arrays = (self.rows.batch(first + i, self.config.batch_size) for i in range(self.config.gradient_accumulation))
        device = self.compute.device
        return [(torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)) for x, y in arrays]

    def _not_finite(self, failed: int, batches: Sequence[Batch],
                    gradient_norms: Sequence[float] = ()) -> Iterator[Event]:
        """Back to the last good state with half the learning rate; if it comes again soon after, to the end.

        Args:
            failed: the step in which it was found.
        """
        before = self._numbers.failed_step
        where = locate_nonfinite(self.model, self.optimizers, batches, gradient_norms)
        if self.load_last_good is None or (before and failed <= before + STEPS_BETWEEN_ROLLBACKS):
            self._reason, self._where = "not finite", where
            return
        scale = self._numbers.learning_rate_scale * LEARNING_RATE_BACKOFF
        best = self._best_weights, self._numbers.best_loss, self._numbers.best_step
        self.restore(self.load_last_good())
        self.ending = False
        self._numbers.learning_rate_scale, self._numbers.failed_step = scale, failed
        if self._numbers.best_step != best[2]:  # validated after the save: its weights are good
            self._best_weights, self._numbers.best_loss, self._numbers.best_step = best
            self._is_best = False
        yield RolledBack(failed, self.step, where, scale)

    def _by_layer(self, norms: list[float]) -> dict[str, float]:
        """Norms of parameters as norms of the parts of the model, to four digits."""
        squares: dict[str, float] = defaultdict(float)
        for layer, norm in zip(self._layers, norms, strict=True):
            squares[layer] += norm * norm
        return {layer: float(f"{square ** 0.5:.4g}") for layer, square in squares.items()}

    # ---- when to validate, when to stop

    def _reason_to_stop(self) -> StopReason | None:
        numbers, target = self._numbers, self.config.target_loss
        if target is not None and numbers.best_loss is not None and numbers.best_loss <= target:
            return "until"
        if self.horizon.progress(numbers.step) >= 1:
            return "finished"
        if overfits(numbers.losses):
            return "overfitting"
        return "interrupted" if self.should_stop() else None

    def _validation_is_due(self) -> bool:
        """Every so many steps, else about 20 times in a run; and at its end."""
        numbers = self._numbers
        if self.validate is None or numbers.step in (0, numbers.validated_step) or self._reason is not None:
            return False
        progress = self.horizon.progress(numbers.step)
        if progress < 1 and self.config.evaluate_every is not None:
            return numbers.step % self.config.evaluate_every == 0
        return progress >= min(1.0, numbers.next_validation)

    def _validated(self) -> Iterator[Event]:
        numbers = self._numbers
        if self.validate is None or numbers.step == numbers.validated_step:
            return
        self.ending = self._reason is not None or self.horizon.progress(numbers.step) >= 1
        started = time.perf_counter()
        try:
            loss = self.validate()
        except Interrupted:
            return
        numbers.validation_seconds = time.perf_counter() - started
        numbers.validated_step = numbers.step
        # fused attention can hide an infinite weight: it takes scores that are NaN for masked ones
        if not math.isfinite(loss) or not all_finite(self.model.parameters()):
            yield from self._not_finite(numbers.step, self._batches())
            return
        numbers.losses.append(loss)
        best = numbers.best_loss is None or loss < numbers.best_loss
        if best:
            numbers.best_loss, numbers.best_step = loss, numbers.step
            self._best_weights, self._is_best = self._weights(), True
        self._plan_validations()
        yield Validated(numbers.step, loss, best)

    def _plan_validations(self) -> None:
        """A run of minutes takes as many validations as it can afford."""
        numbers, apart = self._numbers, 1 / self.validations
        if isinstance(self.horizon, TimeHorizon):
            self._reserve_validation()
            affordable = VALIDATION_SHARE * self.horizon.seconds / max(numbers.validation_seconds, 1e-9)
            apart = 1 / min(self.validations, max(2.0, affordable))
            numbers.next_validation = self.horizon.progress(numbers.step) + apart
            return
        while numbers.next_validation <= self.horizon.progress(numbers.step):
            numbers.next_validation += apart

    def _reserve_validation(self) -> None:
        """A run of minutes keeps time for the last validation."""
        if isinstance(self.horizon, TimeHorizon) and math.isfinite(self._numbers.validation_seconds):
            self.horizon.validating = max(self.horizon.validating, 1.2 * self._numbers.validation_seconds)

    # ---- weights

    def _weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    @torch.no_grad()
    def _load(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])

    def _keep_best(self) -> None:
        """Without a validation the last weights are the best, if they are numbers at all."""
        if self._best_weights:
            self._load(self._best_weights)
            return
        self._numbers.best_step = self.step
        if self._reason != "not finite" and not all_finite(self.model.parameters()):
            self._reason, self._where = "not finite", locate_nonfinite(self.model, self.optimizers, [], [])


@dataclass
class _Numbers:
    """What a run counts and remembers besides its tensors."""

    step: int = 0
    tokens_seen: int = 0
    best_loss: float | None = None
    best_step: int = 0
    losses: list[float] = field(default_factory=list)
    """Of all validations."""
    validated_step: int = 0
    validation_seconds: float = math.inf
    next_validation: float = 1 / VALIDATIONS
    learning_rate_scale: float = 1.0
    failed_step: int = 0
    """Where numbers were last not finite; 0: never."""


def layer_of(name: str) -> str:
    """The part of the model that a parameter is in: `layers.0.attn.q_proj.weight` -> `layers.0`."""
    first, _, rest = name.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == "layers" else first
