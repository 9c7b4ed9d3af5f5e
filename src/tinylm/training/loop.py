"""The loop: an iterator of events. It knows rows of ids and a model that scores them, and nothing of language.

Whoever iterates it trains; whoever stops iterating stops training.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from tinylm.config import TrainConfig
from tinylm.training.evaluate import Interrupted
from tinylm.training.events import Event, Finished, Stepped, StopReason, Validated
from tinylm.training.optimizer import scale_learning_rate
from tinylm.training.schedule import Horizon, TimeHorizon, learning_rate_factor
from tinylm.training.step import Batch, StepResult, train_step

VALIDATIONS = 20
"""About so many in a run."""
VALIDATION_SHARE = 0.05
"""Most of a time budget that goes into validation; the fewer of them then."""
QUICK_SECONDS = 3.0
"""A run that was asked to stop still takes time for a validation that is known to be as quick as this."""


class BatchSource(Protocol):
    """Rows of ids; `batch` is a pure function of the step."""

    rows_per_epoch: int

    def batch(self, step: int, batch_size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...


@dataclass
class Training:
    """A run.

    Args:
        model: scores ids; trained in place. At the end it holds the best weights.
        optimizers: of its parameters, with their peak learning rates (optimizer.py).
        rows: what it reads.
        validate: the loss on the validation text in nats a token (may raise `Interrupted`), or None if there is none.
        should_stop: asked between steps; true ends the run in good order.
    """

    model: nn.Module
    optimizers: Sequence[Optimizer]
    rows: BatchSource
    config: TrainConfig
    horizon: Horizon
    validate: Callable[[], float] | None = None
    should_stop: Callable[[], bool] = lambda: False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        self.step = 0
        self.tokens_seen = 0
        self.best_loss: float | None = None
        self.best_step = 0
        self._best_weights: dict[str, Tensor] = {}
        self.ending = False
        """True from the last step on: a request to stop has been heard then, and need not end the last validation."""
        self._validated_step = 0
        self._validation_seconds = np.inf
        self._next_validation = 1 / VALIDATIONS
        self._layers = [layer_of(name) for name, _ in self.model.named_parameters()]

    def events(self) -> Iterator[Event]:
        """Trains, and tells what happens."""
        self.model.train()
        reason: StopReason | None = None
        while reason is None:
            progress = self.horizon.progress(self.step)
            if progress >= 1:
                reason = "finished"
            elif self.should_stop():
                reason = "interrupted"
            else:
                event, applied = self._take_step(progress)
                yield event
                reason = None if applied else "not finite"
                if applied and self._validation_is_due():
                    yield from self._validated()
                    if self.config.until is not None and (self.best_loss or np.inf) <= self.config.until:
                        reason = "until"
        self.ending = True
        if reason == "finished" or (reason == "interrupted" and self._validation_seconds < QUICK_SECONDS):
            yield from self._validated()
        self._keep_best()
        yield Finished(self.step, reason, self.best_step, self.best_loss, self.tokens_seen)

    def _take_step(self, progress: float) -> tuple[Stepped, bool]:
        factor = learning_rate_factor(self.step, progress, self.config)
        scale_learning_rate(self.optimizers, factor)
        batches = self._batches()
        seed = int(np.random.SeedSequence([self.config.seed, self.step]).generate_state(1)[0])
        result: StepResult = train_step(self.model, self.optimizers, batches, grad_clip=self.config.grad_clip,
                                        dropout_seed=seed)
        self.step += 1
        self.tokens_seen += sum(inputs.numel() for inputs, _ in batches)
        epoch = self.step * self.config.accumulation * self.config.batch_size / self.rows.rows_per_epoch
        return Stepped(self.step, result.loss, self.config.learning_rate * factor, result.gradient_norm,
                       self._by_layer(result.gradient_norms), self.tokens_seen, epoch), result.applied

    def _by_layer(self, norms: list[float]) -> dict[str, float]:
        """Norms of parameters as norms of the parts of the model, to four digits."""
        squares: dict[str, float] = defaultdict(float)
        for layer, norm in zip(self._layers, norms, strict=True):
            squares[layer] += norm * norm
        return {layer: float(f"{square ** 0.5:.4g}") for layer, square in squares.items()}

    def _batches(self) -> list[Batch]:
        first = self.step * self.config.accumulation
        arrays = (self.rows.batch(first + i, self.config.batch_size) for i in range(self.config.accumulation))
        return [(torch.from_numpy(x).to(self.device), torch.from_numpy(y).to(self.device)) for x, y in arrays]

    def _validation_is_due(self) -> bool:
        """Every so many steps, else about 20 times in a run; the end has a validation of its own."""
        progress = self.horizon.progress(self.step)
        if self.validate is None or progress >= 1:
            return False
        if self.config.evaluate_every is not None:
            return self.step % self.config.evaluate_every == 0
        if progress < self._next_validation:
            return False
        while self._next_validation <= progress:
            self._next_validation += 1 / VALIDATIONS
        return True

    def _validated(self) -> Iterator[Event]:
        if self.validate is None or self.step == self._validated_step:
            return
        started = time.perf_counter()
        try:
            loss = self.validate()
        except Interrupted:
            return
        self._validation_seconds = time.perf_counter() - started
        self._plan_validations(self._validation_seconds)
        self._validated_step = self.step
        best = self.best_loss is None or loss < self.best_loss
        if best:
            self.best_loss, self.best_step = loss, self.step
            self._best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        yield Validated(self.step, loss, best)

    def _plan_validations(self, seconds: float) -> None:
        """A run of minutes keeps time for the last validation, and takes as many before it as it can afford."""
        if isinstance(self.horizon, TimeHorizon):
            affordable = VALIDATION_SHARE * self.horizon.seconds / max(seconds, 1e-9)
            apart = 1 / min(VALIDATIONS, max(2.0, affordable))
            self._next_validation = max(self._next_validation, self.horizon.progress(self.step) + apart)
            self.horizon.reserved = max(self.horizon.reserved, 1.2 * seconds)

    def _keep_best(self) -> None:
        if self._best_weights:
            self.model.load_state_dict(self._best_weights)
        else:
            self.best_step = self.step


def layer_of(name: str) -> str:
    """The part of the model that a parameter is in: `layers.0.attn.q_proj.weight` -> `layers.0`."""
    first, _, rest = name.partition(".")
    return f"{first}.{rest.partition('.')[0]}" if first == "layers" else first
