"""Defaults of fine-tuning: what a run that goes on from a base does otherwise than one from nothing.

| choice          | rule                                              | reason                                        |
|-----------------|---------------------------------------------------|-----------------------------------------------|
| shape           | the base's; of its context 512 tokens at most,    | an imported model reads rows of thousands,    |
|                 | where positions are not learned                   | and a short text is few of them               |
| learning rates  | a tenth of those from nothing for a text that the | what fits is to be changed, and not replaced; |
|                 | base reads as well as n-grams of the text do; all | what does not fit has to be learned anew      |
|                 | of them for one that it reads three times as ill  |                                               |
| max_epochs      | 10 for 20 KB, falling with the root of the length | what is known need not be learned again; the  |
|                 |                                                   | best weights come early, and are kept         |
| weight_decay,   | by epochs: see `REGULARISATION`                   | against learning by heart, as from nothing    |
| dropout         |                                                   |                                               |
| conversations   | half of the learning rates from nothing, neither  | the form of answers is new, their language is |
|                 | weight decay nor dropout                          | not (LOG.md, "Answers from 300 pairs")        |
| batch, warm-up  | as from nothing                                   |                                               |
| optimizer       | as from nothing; of low-rank additions AdamW      | better than Muon on both texts of 20 KB       |

The numbers rest on the experiments of LOG.md, "Going on from a model". A setting that somebody chose stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tinylm.config.presets import PartialConfig
from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.planning.base_fit import BaseFit
from tinylm.planning.defaults import (
    BATCH_TOKENS,
    DEFAULT_MINUTES,
    MAX_WARMUP_STEPS,
    REFERENCE_SPEED,
    choose_batch,
    tokens_per_second,
    tokens_to_read,
)

MAX_CONTEXT = 512
RATE_SHARE = 0.1
"""Learning rates at a distance of 1 (`BaseFit`), in terms of the defaults from nothing; they grow with its square."""
CHAT_RATE_SHARE = 0.5
"""The same for conversations, whose form is new to a base whatever their language is."""
LORA_RATE = 0.01
"""Learning rate of low-rank additions, before it is scaled so."""
EPOCHS_OF_20_KB, MIN_EPOCHS = 10.0, 3.0
"""Epochs that pay for a text of 20 KB, and at least."""
REGULARISATION = ((8, 5.0, 0.1), (4, 1.5, 0.0), (0, 0.5, 0.0))
"""(epochs from which on, weight decay, dropout)."""
NGRAM_SHARE = 0.87
"""What fine-tuned models reach where the base is far from the text, in terms of n-grams of the text."""


def fill_fine_tuning(chosen: PartialConfig, fit: BaseFit, *, n_bytes: int, n_tokens: int, speed: float,
                     longest: int = 0) -> dict[str, dict[str, Any]]:
    """The sections model, train, sample and base that the rules give where `chosen` says nothing.

    Args:
        n_bytes, n_tokens: of the training text.
        speed: of the machine, from `throughput.measure_speed`.
        longest: tokens of the longest conversation; 0: the text has none.
    """
    train, rank = dict(chosen.get("train", {})), chosen["base"].get("lora", 0)
    if rank:
        _check_rank(rank, fit.base.config.model)
        train.setdefault("optimizer", "adamw")
    if not any(train.get(name) for name in ("steps", "epochs", "minutes")):
        train["minutes"] = DEFAULT_MINUTES
    base, shape = fit.base, fit.base.config.model
    if train.get("minutes"):
        train.setdefault("max_epochs", round(epochs_that_pay(n_bytes), 1))
    else:
        speed = REFERENCE_SPEED
    in_time = 60 * (train.get("minutes") or 0) * tokens_per_second(shape.n_layers, shape.d_model, shape.vocab_size,
                                                                   speed)
    tokens = tokens_to_read(train, n_tokens, in_time)
    batch_tokens = BATCH_TOKENS if train.get("steps") else choose_batch(tokens, n_tokens)
    epochs = tokens / max(1, n_tokens)
    weight_decay, dropout = (0.0, 0.0) if longest else next(
        (decay, dropout) for border, decay, dropout in REGULARISATION if epochs >= border)
    context_length = choose_context(chosen, shape, longest)
    model = {**shape.model_dump(), "dropout": dropout, **chosen.get("model", {}), "context_length": context_length}
    steps = train.get("steps") or tokens / batch_tokens
    rates = _learning_rates(train, fit, rank, is_chat=longest > 0)
    filled = {"batch_size": max(1, round(batch_tokens / context_length)), **rates, "warmup_steps": min(
        MAX_WARMUP_STEPS, int(steps / 10)), **train}
    if train.get("optimizer") != "adam":  # whose decay is part of the gradient, and another thing
        filled.setdefault("weight_decay", weight_decay)
    return {"model": model, "train": filled,
            "sample": {**base.config.sample.model_dump(), **chosen.get("sample", {})},
            "base": {**chosen["base"], "folder": base.folder, "fingerprint": base.fingerprint}}


def _check_rank(rank: int, shape: ModelConfig) -> None:
    """Raises: TinyLMError: additions of this rank are not smaller than what they are added to."""
    if not shape.n_layers:
        raise TinyLMError("the base has no layers, and LoRA adds to the matrices inside layers", where="--lora",
                          remedy="Leave it out")
    if rank >= shape.d_model:
        raise TinyLMError(f"a rank of {rank:,} is not low: the base has a width of {shape.d_model:,}", where="--lora",
                          remedy="Take a small one, for example --lora 8, or leave it out to train all weights")


def epochs_that_pay(n_bytes: int) -> float:
    """Number of epochs that pay when a base goes on with a text.

    >>> [round(epochs_that_pay(n_bytes)) for n_bytes in (5_000, 20_000, 100_000, 1_000_000)]
    [20, 10, 4, 3]
    """
    return max(MIN_EPOCHS, EPOCHS_OF_20_KB * math.sqrt(20_000 / max(1, n_bytes)))


def choose_context(chosen: PartialConfig, shape: ModelConfig, longest: int = 0) -> int:
    """Tokens of a row: what a person chose; else the base's context, and 512 at most where that changes no weight, or
    the longest conversation."""
    most = shape.context_length if shape.positions == "learned" else max(MAX_CONTEXT, longest)
    return int(chosen.get("model", {}).get("context_length") or min(most, shape.context_length))


def _learning_rates(train: Mapping[str, Any], fit: BaseFit, rank: int, *, is_chat: bool) -> dict[str, float]:
    usual = TrainConfig(steps=1, optimizer=train.get("optimizer", "muon"))
    share = CHAT_RATE_SHARE if is_chat else min(1.0, RATE_SHARE * max(1.0, fit.distance) ** 2)
    rates = {"learning_rate": LORA_RATE if rank else usual.learning_rate,
             "muon_learning_rate": usual.muon_learning_rate}
    return {name: float(f"{share * rate:.2g}") for name, rate in rates.items()}


def fine_tuned_bits(base: float, ngram: float) -> float:
    """Bits a byte to expect of a fine-tuned model: less than the base has and than most of what n-grams reach, and near
    the smaller of the two (a mean of the sixth powers of their inverses, fitted on LOG.md's runs; off by 4% there).

    Args:
        base: of the base as it is.
        ngram: of n-grams of the training text.

    >>> fine_tuned_bits(base=3.36, ngram=3.12), fine_tuned_bits(base=1.9, ngram=2.9)
    (2.61, 1.85)
    """
    return round(((NGRAM_SHARE * ngram) ** -6 + base**-6) ** (-1 / 6), 2)
