"""The training loop: an iterator of events. It knows rows of ids and a model that scores them, and nothing of language.

Iterating trains, and whoever stops iterating stops training. Before each step the loop asks a controller what comes
next (controller.py), a validator measures losses (evaluate.py), and a step updates the weights (step.py); the loop
itself keeps the best weights, and goes back to a checkpoint when a number is not finite.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tinylm.config.schema import TrainConfig
from tinylm.text.rows import Batch
from tinylm.training.backend import TrainingBackend
from tinylm.training.checkpoint import State
from tinylm.training.controller import Controller, TrainingState
from tinylm.training.diagnostics.nonfinite import all_finite, locate_nonfinite
from tinylm.training.evaluate import Interrupted
from tinylm.training.events import Event, Finished, RolledBack, Stepped, StopReason, Validated
from tinylm.training.optimizer import (
    Optimizer,
    load_optimizer_state,
    optimizer_state,
    scale_learning_rate,
    trained_parameters,
)
from tinylm.training.step import explain_out_of_memory, train_step

QUICK_SECONDS = 3.0
"""A run that was asked to stop still takes time for a validation that is known to be as quick as this."""
LEARNING_RATE_BACKOFF = 0.5
"""What the learning rate is multiplied with when numbers were not finite."""
STEPS_BETWEEN_ROLLBACKS = 1000
"""Numbers that are not finite again so soon after the last time end the run."""

ShouldStop = Callable[[], bool]


class BatchSource(Protocol):
    """A source of rows of ids; `batch` is a pure function of the step."""

    rows_per_epoch: int

    def batch(self, step: int, batch_size: int) -> Batch: ...


@dataclass
class Training:
    """A training run.

    Args:
        model: (B, T) ids -> (B, T, V) logits; trained in place.
        optimizers: of its parameters, with their peak learning rates (optimizer.py).
        rows: what the model is trained on.
        config: batch size, accumulation, clipping, peak learning rate, seed.
        controller: decides when to validate, save and stop, and on the learning rate.
        validate: measures the loss on the validation text in nats a token (evaluate.py's `Validator`), asking its
            argument whether to give up, by `Interrupted`; None if there is no validation text.
        backend: computes losses and gradients of the model; None: the reference, autograd.
        load_last_good: gives an earlier, good state of this run, to go back to when numbers are no longer finite; None
            if there is none, and the run ends then.
        save: writes a checkpoint of `state()`, when the controller says so.

    >>> from tinylm import ModelConfig, TinyLM
    >>> from tinylm.training.controller import ScheduleController
    >>> from tinylm.training.optimizer import make_optimizers
    >>> from tinylm.training.schedule import StepHorizon
    >>> class Counting:
    ...     rows_per_epoch = 1
    ...     def batch(self, step, batch_size):
    ...         return np.array([[1, 2, 3]] * batch_size), np.array([[2, 3, 1]] * batch_size)
    >>> model = TinyLM(ModelConfig(vocab_size=4, d_model=8, n_layers=1, n_heads=1))
    >>> config = TrainConfig(steps=3, batch_size=1)
    >>> controller = ScheduleController(config, StepHorizon(3))
    >>> training = Training(model, make_optimizers(model, config), Counting(), config, controller)
    >>> [event.kind for event in training.events()]
    ['step', 'step', 'step', 'finished']
    """

    model: nn.Module
    optimizers: Sequence[Optimizer]
    rows: BatchSource
    config: TrainConfig
    controller: Controller
    validate: Callable[[ShouldStop], float] | None = None
    backend: TrainingBackend | None = None
    load_last_good: Callable[[], State] | None = None
    save: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._state = TrainingState()
        self.controller.begin(self._state)
        self._backend = self.backend or TrainingBackend(self.model)
        self._best_weights: dict[str, Tensor] = {}
        self._is_best = False
        """The weights are the best ones themselves: they have just been validated."""
        self._reason: StopReason | None = None
        self._where = ""
        self._layers = [layer_of(name) for name in trained_parameters(self.model)]

    @property
    def step(self) -> int:
        """Updates so far."""
        return self._state.step

    @property
    def best_loss(self) -> float | None:
        """The lowest validation loss so far, in nats a token; None before the first validation."""
        return self._state.best_loss

    def events(self) -> Iterator[Event]:
        """Trains to the end: `steps`, then `end`."""
        yield from self.steps()
        yield from self.end()

    def validate_start(self) -> Iterator[Event]:
        """Validates the weights that the run begins with, before its first step. They may be the best that it finds,
        where they are not drawn but those of a base. Yields nothing if the run is asked to stop meanwhile."""
        yield from self._validate(self.controller.stop_requested)

    def steps(self) -> Iterator[Event]:
        """Trains until the controller, or a number that is not finite, ends the run. Between any two events the run can
        be saved (`state`), and a run that is restored from there goes on as if nothing had been."""
        self.model.train()
        self._reason = None
        while self._reason is None:
            decision = self.controller.decide(self._state)
            if decision.validate and self.validate is not None:
                yield from self._validated(_never if decision.is_last else self.controller.stop_requested)
                decision = self.controller.decide(self._state)
            self._reason = self._reason or decision.stop
            if self._reason is None:
                if decision.save:
                    self.save()
                yield from self._stepped(decision.learning_rate_factor)

    def end(self) -> Iterator[Event]:
        """Keeps the best weights. A run that was asked to stop takes time for a quick validation of its newest ones."""
        assert self._reason is not None, "steps() comes first"
        if self._reason == "interrupted" and self._state.validation_seconds < QUICK_SECONDS:
            yield from self._validated(_never)
        self._keep_best()
        state = self._state
        yield Finished(state.step, self._reason, state.best_step, state.best_loss, state.tokens_seen, self._where)

    def state(self) -> State:
        """The state of the run. The tensors are those in use, not copies: save them before the next step."""
        weights = dict(self.model.named_parameters())
        best = {"best": self._best_weights} if self._best_weights and not self._is_best else {}
        return State({"weights": weights, "moments": optimizer_state(self.model, self.optimizers), **best},
                     asdict(self._state))

    def restore(self, state: State) -> None:
        """Goes on from an earlier state.

        Raises:
            TypeError, KeyError, RuntimeError: the state is not of this model.
        """
        self._state = TrainingState(**state.numbers)
        self._load(state.tensors["weights"])
        load_optimizer_state(self.model, self.optimizers, state.tensors["moments"])
        best = state.tensors.get("best")
        self._is_best = best is None and self._state.best_loss is not None
        self._best_weights = self._weights() if self._is_best else dict(best or {})
        self.controller.begin(self._state)

    # ---- a step

    def _stepped(self, learning_rate_factor: float) -> Iterator[Event]:
        state = self._state
        factor = learning_rate_factor * state.learning_rate_scale
        scale_learning_rate(self.optimizers, factor)
        batches = self._batches()
        seed = int(np.random.SeedSequence([self.config.seed, state.step]).generate_state(1)[0])
        with explain_out_of_memory(self.config.batch_size, self.config.gradient_accumulation):
            result = train_step(self.model, self.optimizers, batches, grad_clip=self.config.grad_clip,
                                dropout_seed=seed, backend=self._backend)
        if not result.applied:
            yield from self._not_finite(state.step + 1, batches, result.gradient_norms)
            return
        self._is_best = False
        state.step += 1
        state.tokens_seen += sum(inputs.size for inputs, _ in batches)
        epoch = state.step * self.config.gradient_accumulation * self.config.batch_size / self.rows.rows_per_epoch
        yield Stepped(state.step, result.loss, self.config.learning_rate * factor, result.gradient_norm,
                      self._by_layer(result.gradient_norms), state.tokens_seen, epoch)

    def _batches(self) -> list[Batch]:
        first = self.step * self.config.gradient_accumulation
        return [self.rows.batch(first + i, self.config.batch_size) for i in range(self.config.gradient_accumulation)]

    def _by_layer(self, norms: list[float]) -> dict[str, float]:
        """Norms of parameters as norms of the parts of the model, to four digits."""
        squares: dict[str, float] = defaultdict(float)
        for layer, norm in zip(self._layers, norms, strict=True):
            squares[layer] += norm * norm
        return {layer: float(f"{square ** 0.5:.4g}") for layer, square in squares.items()}

    # ---- a validation

    def _validated(self, should_stop: ShouldStop) -> Iterator[Event]:
        if self._state.step != self._state.validated_step:
            yield from self._validate(should_stop)

    def _validate(self, should_stop: ShouldStop) -> Iterator[Event]:
        state = self._state
        if self.validate is None:
            return
        started = time.perf_counter()
        try:
            loss = self.validate(should_stop)
        except Interrupted:
            return
        state.validation_seconds = time.perf_counter() - started
        state.validated_step = state.step
        # fused attention can hide an infinite weight: it takes scores that are NaN for masked ones
        if not math.isfinite(loss) or not all_finite(self.model.parameters()):
            yield from self._not_finite(state.step, self._batches())
            return
        state.losses.append(loss)
        best = state.best_loss is None or loss < state.best_loss
        if best:
            state.best_loss, state.best_step = loss, state.step
            self._best_weights, self._is_best = self._weights(), True
        self.controller.validated(state)
        yield Validated(state.step, loss, best)

    # ---- numbers that are not finite

    def _not_finite(self, failed: int, batches: Sequence[Batch],
                    gradient_norms: Sequence[float] = ()) -> Iterator[Event]:
        """Goes back to the last good state with half the learning rate; if it comes again soon after, to the end.

        Args:
            failed: the step in which the number was found.
        """
        before = self._state.failed_step
        where = locate_nonfinite(self.model, self.optimizers, batches, gradient_norms)
        if self.load_last_good is None or (before and failed <= before + STEPS_BETWEEN_ROLLBACKS):
            self._reason, self._where = "not finite", where
            return
        scale = self._state.learning_rate_scale * LEARNING_RATE_BACKOFF
        best = self._best_weights, self._state.best_loss, self._state.best_step
        self.restore(self.load_last_good())
        self._state.learning_rate_scale, self._state.failed_step = scale, failed
        if self._state.best_step != best[2]:  # validated after the save: its weights are good
            self._best_weights, self._state.best_loss, self._state.best_step = best
            self._is_best = False
        yield RolledBack(failed, self.step, where, scale)

    # ---- weights

    def _weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    @torch.no_grad()
    def _load(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])

    def _keep_best(self) -> None:
        """Puts the best weights into the model. Without a validation the last weights are the best, if finite."""
        if self._best_weights:
            self._load(self._best_weights)
            return
        self._state.best_step = self.step
        if self._reason != "not finite" and not all_finite(self.model.parameters()):
            self._reason, self._where = "not finite", locate_nonfinite(self.model, self.optimizers, [], [])


def layer_of(name: str) -> str:
    """The part of the model that a parameter belongs to.

    >>> layer_of("layers.0.attn.q_proj.weight"), layer_of("ln_f.weight")
    ('layers.0', 'ln_f')
    """
    first, _, rest = name.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == "layers" else first


def _never() -> bool:
    return False
