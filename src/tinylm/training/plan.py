"""What a run does where nobody said otherwise: a few rules, in one place, with their reasons.

| choice          | rule                                              | reason                                        |
|-----------------|---------------------------------------------------|-----------------------------------------------|
| size            | the largest that reads a token for each of its    | a larger model learns more from each token,   |
|                 | weights in the time, with at most 4 weights for   | but a machine gets through fewer; with too    |
|                 | each byte of text                                 | many weights it learns the text by heart      |
| context_length  | 128 tokens; 256 from 2M weights on                | attention costs its square, and a small model |
|                 |                                                   | makes little of what lies further back        |
| batch_size      | about 4,096 tokens                                | more tokens waste data, fewer waste cores     |
| warmup_steps    | a tenth of the run, at most 100                   | the first gradients are the wildest           |
| dropout         | 0.1 from 4 epochs on, 0.2 from 16 on              | repeated text is learned by heart             |
| optimizer       | Muon for matrices at 0.02, AdamW at 0.005         | LOG.md, "Muon against AdamW"                  |

The speed of the machine is measured with a few matrix products.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tinylm.config import SIZES, ModelConfig, Partial, TrainConfig, size

DEFAULT_MINUTES = 5.0
EFFICIENCY = 0.25
"""Share of the speed of plain matrix products that a training step reaches: measured 0.2 to 0.3 on CPUs."""
TOKENS_PER_WEIGHT = 1.0
WEIGHTS_PER_BYTE = 4.0
BATCH_TOKENS = 4096
LONGEST_WARMUP = 100
REFERENCE_SPEED = 100e9
"""Stands for the machine's speed where steps or epochs are counted: such a run is the same on every machine."""


@dataclass(frozen=True)
class Forecast:
    """What a run will take. Memory is the peak of weights, gradients, optimiser state and activations."""

    seconds: float
    steps: int
    tokens: int
    parameters: int
    peak_memory_bytes: int


def measure_speed(device: torch.device) -> float:
    """Floating point operations a second of this machine in 32-bit matrix products (some 50 ms).

    The best of many: another program that runs beside it for a moment says nothing about the next minutes."""
    a, b = torch.randn(1024, 256, device=device), torch.randn(256, 768, device=device)
    seconds = math.inf
    for _ in range(30):
        started = time.perf_counter()
        (a @ b).sum().item()
        seconds = min(seconds, time.perf_counter() - started)
    return 2 * 1024 * 256 * 768 / seconds


def tokens_per_second(weights: int, speed: float) -> float:
    """Training speed of a model with so many weights in products: 2 operations forward and 4 backward for each."""
    return EFFICIENCY * speed / (6 * weights)


def choose_size(n_bytes: int, seconds: float, speed: float) -> str:
    """The name of the size that suits a text of `n_bytes` and a training time."""
    best = next(iter(SIZES))
    for name, (n_layers, d_model, _) in SIZES.items():
        weights = 12 * n_layers * d_model**2
        enough_time = tokens_per_second(weights, speed) * seconds >= TOKENS_PER_WEIGHT * weights
        if enough_time and weights <= WEIGHTS_PER_BYTE * n_bytes:
            best = name
    return best


def choose_dropout(epochs: float) -> float:
    return 0.0 if epochs < 4 else 0.1 if epochs < 16 else 0.2


def fill_in(chosen: Partial, *, n_bytes: int, n_tokens: int, vocab_size: int,
            speed: float) -> dict[str, dict[str, Any]]:
    """The model and train sections that the rules give where `chosen` says nothing.

    Args:
        n_bytes, n_tokens: of the training text.
        speed: of the machine, from `measure_speed`.
    """
    given, train = chosen.get("model", {}), dict(chosen.get("train", {}))
    if not any(train.get(name) for name in ("steps", "epochs", "minutes")):
        train["minutes"] = DEFAULT_MINUTES
    if not train.get("minutes"):
        speed = REFERENCE_SPEED
    seconds = 60 * (train.get("minutes") or DEFAULT_MINUTES)
    model: dict[str, Any] = {"vocab_size": vocab_size}
    if not any(name in given for name in ("d_model", "n_layers", "n_heads")):
        model |= size(choose_size(n_bytes, seconds, speed))["model"]
    shape = {**model, **given}
    weights = 12 * shape.get("n_layers", 4) * shape.get("d_model", 128) ** 2
    model["context_length"] = 128 if weights < 1_500_000 else 256
    context_length = given.get("context_length", model["context_length"])
    tokens = _tokens_to_read(train, n_tokens, tokens_per_second(weights, speed) * seconds)
    model["dropout"] = choose_dropout(tokens / max(1, n_tokens))
    steps = train.get("steps") or tokens / BATCH_TOKENS
    filled = {"batch_size": max(1, round(BATCH_TOKENS / context_length)),
              "warmup_steps": min(LONGEST_WARMUP, int(steps / 10)), **train}
    return {"model": {**model, **given}, "train": filled}


def _tokens_to_read(train: Mapping[str, Any], n_tokens: int, in_time: float) -> float:
    if train.get("epochs"):
        return float(train["epochs"]) * n_tokens
    return float(train["steps"]) * BATCH_TOKENS if train.get("steps") else in_time


def count_steps(config: TrainConfig, rows_per_epoch: int) -> int | None:
    """How many steps a run has; None for a run of minutes."""
    if config.epochs is not None:
        return max(1, math.ceil(config.epochs * rows_per_epoch / (config.batch_size * config.accumulation)))
    return config.steps


def forecast(model: ModelConfig, train: TrainConfig, *, parameters: int, flops_per_token: float, steps: int | None,
             speed: float, tokens_per_row: float) -> Forecast:
    """What the run will take: rough, from the speed of matrix products.

    Args:
        flops_per_token: of a training step.
        steps: None for a run of minutes.
        tokens_per_row: of the text, on average; short documents leave rows partly empty.
    """
    tokens_a_step = train.batch_size * train.accumulation * tokens_per_row
    rate = EFFICIENCY * speed / flops_per_token
    if steps is None:
        assert train.minutes is not None
        seconds = 60 * train.minutes
        steps = max(1, int(seconds * rate / tokens_a_step))
    else:
        seconds = steps * tokens_a_step / rate
    return Forecast(seconds, steps, round(steps * tokens_a_step), parameters, _memory(model, train, parameters))


def _memory(model: ModelConfig, train: TrainConfig, parameters: int) -> int:
    """Weights, gradients and two moments; what the backward pass needs of each token; torch itself."""
    a_layer = 16 * model.d_model + 5 * model.d_mlp
    a_token = model.n_layers * a_layer + 3 * model.vocab_size
    return 4 * (4 * parameters + train.batch_size * model.context_length * a_token) + 250_000_000
