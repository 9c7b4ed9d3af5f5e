"""Throughput of this machine, measured with real training steps: the model, the optimisers and the rows of a run.

Each figure is the median of several, after a first one that does not count: a program that runs beside for a moment,
or the start of threads, says nothing about the next minutes. Where one step takes long, fewer rows of it are timed.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tinylm.config.presets import size
from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.model.device import synchronize
from tinylm.model.tensors import weights_of
from tinylm.model.transformer import TinyLM
from tinylm.planning.defaults import training_flops, width_factor
from tinylm.text.rows import Batch
from tinylm.training.backend import Compute, choose_compute
from tinylm.training.evaluate import evaluate
from tinylm.training.loop import BatchSource
from tinylm.training.lora import trained_module
from tinylm.training.optimizer import make_optimizers
from tinylm.training.step import explain_out_of_memory, train_step

REFERENCE_SIZE = "0.3M"
REFERENCE_ROWS, REFERENCE_LENGTH, REFERENCE_VOCABULARY = 16, 128, 256
SIZES_OF_A_MODEL = ("vocab_size", "context_length", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head",
                    "d_mlp")
MIN_REPEATS, MAX_REPEATS = 2, 9
"""Times that something is done to get one figure."""
ROWS_PER_CORE = 2
"""The fewest rows of a step that is timed: one alone is slower than one of many, by a quarter at 5M parameters."""


@dataclass(frozen=True)
class StepTimes:
    """Seconds that the parts of a run take on this machine.

    Attributes:
        step: one update, all its batches included.
        validated_token: one token of a text that is validated.
        generated_token: one token of a sample, which comes alone.
        model_init: making the model, once.
    """

    step: float
    validated_token: float
    generated_token: float
    model_init: float


def smallest_model(model: Mapping[str, Any]) -> ModelConfig:
    """A model of the kind that was chosen, as small as can be."""
    kind = {name: value for name, value in model.items() if name not in SIZES_OF_A_MODEL}
    return ModelConfig(**{**kind, "vocab_size": 4, "context_length": 8, "d_model": 8, "n_heads": 1, "n_layers": 1})


def warm_up(config: ModelConfig, device: torch.device, precision: str = "auto") -> None:
    """The first step of a process starts threads and loads code, which takes time and memory of its own.

    Args:
        config: `smallest_model` of what will be measured.
    """
    compute = choose_compute(config, device, flops=math.inf, precision=precision)
    with compute.running():
        steps = _Steps(config, TrainConfig(steps=1), compute)
        batch = np.zeros((2, 8), np.int64)
        steps.take((batch, batch))
        steps.validate((batch, batch))


def measure_speed(kind: ModelConfig, device: torch.device, precision: str = "auto", seconds: float = 0.5) -> float:
    """FLOP/s of this machine in training steps at a width of 128 (plan.py scales it to other widths), from steps of a
    small model, for about `seconds`.

    Args:
        kind: `smallest_model` of what is to be trained.
    """
    shape = size(REFERENCE_SIZE)["model"]
    changed = {"vocab_size": REFERENCE_VOCABULARY, "context_length": REFERENCE_LENGTH, **shape}
    same = kind.model_dump(exclude={"d_mlp", "n_kv_heads", "d_head"})
    model = ModelConfig(**{**same, **changed})
    flops = training_flops(model.n_layers, model.d_model, model.vocab_size)
    compute = choose_compute(model, device, flops=flops * REFERENCE_ROWS * REFERENCE_LENGTH, precision=precision)
    with compute.running():
        steps = _Steps(model, TrainConfig(steps=1), compute)
        ids = np.arange(REFERENCE_ROWS * REFERENCE_LENGTH).reshape(REFERENCE_ROWS, -1)
        batch = ids % REFERENCE_VOCABULARY
        took = _median_seconds(lambda: steps.take((batch, batch)), seconds)
    return flops * batch.size / took / width_factor(model.d_model)


def measure_step_times(model: ModelConfig, train: TrainConfig, rows: BatchSource, *, compute: Compute,
                       seconds: float = 0.5, rank: int = 0) -> StepTimes:
    """Times the steps of a run that is about to begin, for about `seconds`, on a model of its own.

    Args:
        compute: as in the run.
        rank: of low-rank additions that alone are trained; 0: all weights are.
    """
    with compute.running(), explain_out_of_memory(train.batch_size, train.gradient_accumulation):
        began = time.perf_counter()
        steps = _Steps(model, train, compute, rank)
        model_init = time.perf_counter() - began
        one = rows.batch(0, 1)
        one_row = _median_seconds(lambda: steps.take(one), 0.0)
        cores = compute.workers.cores  # of which one row keeps one busy
        n_rows = min(train.batch_size, max(ROWS_PER_CORE * cores, int(cores * seconds / 4 / one_row)))
        batch = rows.batch(0, n_rows)
        step = _median_seconds(lambda: steps.take(batch), seconds / 2)
        update = min(0.9 * step, _median_seconds(steps.update, seconds / 8))
        validated = _median_seconds(lambda: steps.validate(batch), seconds / 8)
        alone = _median_seconds(lambda: steps.validate((one[0][:, :1], one[1][:, :1])), seconds / 16)
    gradients = (step - update) * train.batch_size / n_rows
    return StepTimes(update + train.gradient_accumulation * gradients, validated / batch[0].size, alone, model_init)


class _Steps:
    """A model to try out."""

    def __init__(self, config: ModelConfig, train: TrainConfig, compute: Compute, rank: int = 0) -> None:
        self.train = train
        model = TinyLM(config).to(compute.device)
        base = {name: array.copy() for name, array in weights_of(model).items()} if rank else None
        self.model, self.backend = trained_module(model, base, rank, 0, compute)
        self.optimizers = make_optimizers(self.model, train, compute)

    def take(self, batch: Batch) -> None:
        """A training step."""
        self.model.train()
        train_step(self.model, self.optimizers, [batch], grad_clip=self.train.grad_clip, backend=self.backend)

    def update(self) -> None:
        """The optimisers' part of a step, from gradients of any kind."""
        for parameter in self.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        synchronize(next(self.model.parameters()).device)

    def validate(self, batch: Batch) -> None:
        evaluate(self.model, [batch], backend=self.backend)


def _median_seconds(action: Callable[[], None], seconds: float) -> float:
    """Seconds that an action takes: the median of the repeats that fit into `seconds`, at least two, at most nine.

    Every action here ends by reading a number from the device, or by waiting for it, so nothing is left to be done.
    """
    action()
    times: list[float] = []
    while len(times) < MIN_REPEATS or (len(times) < MAX_REPEATS and sum(times) < seconds):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
