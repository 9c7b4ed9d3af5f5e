"""Forecast of a run, before it begins: seconds, steps, memory, and the bits a byte to expect."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinylm.evaluation.evaluator import COPYING_SAMPLES, COPYING_TOKENS
from tinylm.evaluation.memorization import MAX_SEARCHED_BYTES
from tinylm.inspection import structure
from tinylm.planning.base_fit import BaseFit
from tinylm.planning.data import RunData, tokenizer_for
from tinylm.planning.defaults import useful_epochs
from tinylm.planning.fine_tuning import fine_tuned_bits
from tinylm.planning.machine import Machine
from tinylm.planning.memory_check import needed_bytes
from tinylm.planning.setup import RunSetup
from tinylm.planning.throughput import StepTimes
from tinylm.text.split import train_tokenizer
from tinylm.training.schedule import VALIDATION_SHARE

SAMPLE_TOKENS = 60
"""Tokens that a run writes after each validation."""
LEAVING_SECONDS = 0.1
"""For the last checkpoint, the folder, and the end of the process."""
SAVING_SHARE = 0.01
"""Share of the time that goes into saving, at most."""
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
        base_bits_per_byte: of the base as it is, on a sample of the training text; None for a run from nothing.
        from_nothing_bits_per_byte: expected of a run from nothing instead; None for one.
    """

    seconds: float
    steps: int
    tokens: int
    epochs: float
    parameters: int
    peak_memory_bytes: int
    bits_per_byte: float | None
    ngram_bits_per_byte: float | None
    base_bits_per_byte: float | None = None
    from_nothing_bits_per_byte: float | None = None


def make_forecast(setup: RunSetup, machine: Machine, times: StepTimes, *, elapsed: float, peak_bytes: int,
                  fit: BaseFit | None = None) -> Forecast:
    """Forecast of a run: a pure function of its setup and of what was measured.

    Args:
        machine: before anything of the run was allocated.
        times: of this run's steps on this machine.
        elapsed: seconds that the process has used so far.
        peak_bytes: the most memory that the process has held so far.
        fit: of the base that the run goes on from.
    """
    train, dataset = setup.config.train, setup.data.dataset
    n_steps, seconds = _steps_and_seconds(setup, times, elapsed)
    tokens_per_row = dataset.train.n_tokens / setup.rows.rows_per_epoch  # short documents leave rows partly empty
    tokens = round(n_steps * train.batch_size * train.gradient_accumulation * tokens_per_row)
    epochs = tokens / max(1, dataset.train.n_tokens)
    expected, ngram = _expected_bits(setup, tokens, epochs)
    from_nothing = None
    if fit is not None and expected and ngram:
        from_nothing = from_nothing_bits(_counted_from_nothing(setup.data, ngram), dataset.train.n_bytes_read)
        expected = fine_tuned_bits(fit.bits_per_byte, ngram)
    return Forecast(round(seconds, 1), n_steps, tokens, round(epochs, 2),
                    structure.total_parameters(setup.config.model), _peak_memory(setup, machine, peak_bytes), expected,
                    round(ngram, 3) if ngram else None, round(fit.bits_per_byte, 3) if fit else None, from_nothing)


def _steps_and_seconds(setup: RunSetup, times: StepTimes, elapsed: float) -> tuple[int, float]:
    """Number of steps, and the seconds of the whole process."""
    train, loss_seconds = setup.config.train, setup.data.validation_tokens * times.validated_token
    validation = loss_seconds + SAMPLE_TOKENS * times.generated_token if loss_seconds else 0.0
    fixed = elapsed + times.model_init + LEAVING_SECONDS + COPYING_SAMPLES * COPYING_TOKENS * times.generated_token
    step = times.step * (1 + SAVING_SHARE)
    if train.minutes is None:
        assert setup.n_steps is not None
        n_validations = min(setup.n_validations, setup.n_steps) + bool(setup.config.base.folder)
        if train.evaluate_every:
            n_validations = setup.n_steps // train.evaluate_every + 1
        return setup.n_steps, fixed + setup.n_steps * step + n_validations * validation
    budget = 60 * train.minutes
    affordable = VALIDATION_SHARE * budget / max(validation, 1e-9)
    validating = min(setup.n_validations, max(2.0, affordable)) * validation
    in_time = max(1, int((budget - fixed - validating) / step))
    if setup.n_steps is None or in_time <= setup.n_steps:
        return in_time, budget
    return setup.n_steps, fixed + validating + setup.n_steps * step


def _expected_bits(setup: RunSetup, tokens: int, epochs: float) -> tuple[float | None, float | None]:
    """Bits a byte to expect on the validation text, and those of the n-grams; None without such a text."""
    baselines, dataset = setup.data.baselines, setup.data.dataset
    ngram = baselines.bits_per_byte.get("ngram")
    if not ngram or not dataset.validation:
        return None, ngram
    rest = baselines.left_out.bits / max(1, dataset.validation.n_bytes)  # costs the model as much as the n-grams
    return round(expected_bits(ngram - rest, tokens, epochs, dataset.train.n_bytes_read) + rest, 2), ngram


def _counted_from_nothing(data: RunData, ngram: float) -> float:
    """Bits a byte of n-grams in the tokens that a run from nothing takes, where `ngram` is that in the base's tokens.

    A short text is read letter by letter then, and n-grams of letters reach less: words of the language are tokens of
    the base. A vocabulary of BPE takes long to make and changes little (LOG.md, "Forecasts from nothing").
    """
    if tokenizer_for(data.split).kind != "char":
        return ngram
    letters = train_tokenizer(data.split, "char")
    return RunData.of(data.config, letters, data.split).baselines.bits_per_byte["ngram"]


def _peak_memory(setup: RunSetup, machine: Machine, peak_bytes: int) -> int:
    config = setup.config
    training = needed_bytes(config.model, config.train, setup.data.validation_tokens, machine.device, config.base.lora)
    if machine.device.type == "cuda":
        return training
    searched = min(setup.data.dataset.train.n_bytes_read, MAX_SEARCHED_BYTES)
    return max(peak_bytes, machine.held_bytes + training + LIBRARY_BYTES + COPY_INDEX_BYTES_PER_BYTE * searched)


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


def from_nothing_bits(ngram: float, n_bytes: int) -> float:
    """Bits a byte to expect of a run from nothing that reads a text of `n_bytes` as often as pays, letter by letter;
    of guessing, at most.

    >>> from_nothing_bits(ngram=2.6, n_bytes=20_000), from_nothing_bits(ngram=9.0, n_bytes=100)
    (2.44, 8.0)
    """
    epochs = useful_epochs(n_bytes)
    return min(expected_bits(ngram, epochs * n_bytes, epochs, n_bytes), 8.0)
