"""Forecast of a run, before it begins: seconds, steps, memory, and the bits a byte to expect."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from tinylm.config.schema import RunConfig
from tinylm.evaluation.memorization import MAX_SEARCHED_BYTES
from tinylm.evaluation.report import Baselines
from tinylm.inspection import structure
from tinylm.planning.defaults import useful_epochs
from tinylm.planning.memory_check import needed_bytes
from tinylm.planning.throughput import StepTimes
from tinylm.system.memory import peak_memory_bytes
from tinylm.text.dataset import Dataset
from tinylm.training.schedule import VALIDATION_SHARE

SAMPLE_TOKENS, TOKENS_AT_THE_END = 60, 600
"""Written after each validation, and to see what the finished model copies."""
LEAVING_SECONDS = 0.1
"""For the last checkpoint, the folder, and the end of the process."""
SAVING_SHARE = 0.01
LIBRARY_BYTES = 40_000_000
"""What torch's libraries prepare for the shapes of a run and keep, and the gaps between. Measured on Linux: 20 to 70 MB
for models of 0.1M to 10M (benchmarks/forecast.py)."""
COPY_INDEX_BYTES_PER_BYTE = 1
"""Memory for each byte of the training text where copies are looked for."""


@dataclass(frozen=True)
class Forecast:
    """Forecast of a run.

    Attributes:
        seconds: of the whole process, from its start to its end.
        steps, tokens, epochs: that it trains; an epoch is once through the training text.
        parameters: numbers that the model learns.
        peak_memory_bytes: the most that the process will hold; on a GPU, the most of its memory.
        bits_per_byte: expected on the validation text (None without one); `ngram_bits_per_byte`: what counting reached
            there.
    """

    seconds: float
    steps: int
    tokens: int
    epochs: float
    parameters: int
    peak_memory_bytes: int
    bits_per_byte: float | None
    ngram_bits_per_byte: float | None


def make_forecast(config: RunConfig, dataset: Dataset, *, steps: int | None, validations: int, tokens_per_row: float,
                  times: StepTimes, elapsed: float, baselines: Baselines, held_bytes: int,
                  device: torch.device) -> Forecast:
    """Forecast of a run.

    Args:
        steps: how many; of a run of minutes, at most (None: the clock alone ends it).
        validations: the most, on the way.
        tokens_per_row: of the text, on average; short documents leave rows partly empty.
        times: of this run's steps on this machine.
        elapsed: seconds that the process has used so far.
        baselines: what counting reaches on the validation text, if there is one.
        held_bytes: memory that the process held before the times were measured, with all code loaded.
    """
    train, validation_tokens = config.train, dataset.validation.n_tokens if dataset.validation else 0
    validation = validation_tokens * times.validated_token + SAMPLE_TOKENS * times.generated_token
    closing = LEAVING_SECONDS + TOKENS_AT_THE_END * times.generated_token
    fixed = elapsed + times.model_init + closing
    step = times.step * (1 + SAVING_SHARE)
    if train.minutes is not None:
        budget = 60 * train.minutes
        affordable = VALIDATION_SHARE * budget / max(validation_tokens * times.validated_token, 1e-9)
        validating = min(validations, max(2.0, affordable)) * validation if validation_tokens else 0.0
        in_time = max(1, int((budget - fixed - validating) / step))
        seconds = budget if steps is None or in_time <= steps else fixed + validating + steps * step
        steps = in_time if steps is None else min(steps, in_time)
    else:
        assert steps is not None
        validations = steps // train.evaluate_every + 1 if train.evaluate_every else min(validations, steps)
        seconds = fixed + steps * step + (validations * validation if validation_tokens else 0.0)
    tokens = round(steps * train.batch_size * train.gradient_accumulation * tokens_per_row)
    epochs = tokens / max(1, dataset.train.n_tokens)
    parameters = structure.total_parameters(config.model)
    expected, ngram = None, baselines.bits_per_byte.get("ngram")
    if ngram and dataset.validation:  # what the tokens leave out costs the model as much as the n-grams
        rest = baselines.left_out.bits / max(1, dataset.validation.n_bytes)
        expected = round(expected_bits(ngram - rest, tokens, epochs, dataset.train.n_bytes) + rest, 2)
    return Forecast(round(seconds, 1), steps, tokens, round(epochs, 2), parameters,
                    _peak_memory(config, dataset, validation_tokens, held_bytes, device), expected,
                    round(ngram, 3) if ngram else None)


def _peak_memory(config: RunConfig, dataset: Dataset, validation_tokens: int, held_bytes: int,
                 device: torch.device) -> int:
    training = needed_bytes(config.model, config.train, validation_tokens, device)
    if device.type == "cuda":
        return training
    training += LIBRARY_BYTES + COPY_INDEX_BYTES_PER_BYTE * min(dataset.train.n_bytes, MAX_SEARCHED_BYTES)
    return max(peak_memory_bytes(), held_bytes + training)


# ---- what to expect


def expected_bits(ngram: float, tokens: float, epochs: float, n_bytes: int) -> float:
    """Bits a byte to expect where n-grams reach `ngram`, after so many tokens, which are so many epochs of a text of
    `n_bytes`.

    Fitted on runs (tests/test_forecast.py) of the sizes and with the regularisation that plan.py chooses; off by 6%
    there at most. A model needs tokens to learn at all, a small text teaches it less than the n-grams, and a large one
    more. What is read oftener than is of use brings no more. Texts above 1 MB: from runs on source code alone.
    """
    useful = max(1.0, tokens * min(1.0, useful_epochs(n_bytes) / max(epochs, 1e-9)))
    small = min(2.0, max(0.0, math.log10(1e6 / n_bytes)))
    large = min(1.0, max(0.0, math.log10(n_bytes / 1e6)))
    share = 0.81 + 0.035 * small - 0.5 * large + (0.091 + 0.58 * large) / math.sqrt(useful / 1e6)
    return round(ngram * min(share, 3.0), 2)
