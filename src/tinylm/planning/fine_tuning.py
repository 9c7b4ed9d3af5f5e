"""Defaults of fine-tuning: what a run that goes on from a base does otherwise than one from nothing."""

from __future__ import annotations

from typing import Any

from tinylm.config.presets import PartialConfig
from tinylm.evaluation.base import Base
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


def fill_fine_tuning(chosen: PartialConfig, base: Base, *, n_bytes: int, n_tokens: int,
                     speed: float) -> dict[str, dict[str, Any]]:
    """The sections model, train, sample and base that the rules give where `chosen` says nothing.

    Args:
        n_bytes, n_tokens: of the training text.
        speed: of the machine, from `throughput.measure_speed`.
    """
    train = dict(chosen.get("train", {}))
    if not any(train.get(name) for name in ("steps", "epochs", "minutes")):
        train["minutes"] = DEFAULT_MINUTES
    if not train.get("minutes"):
        speed = REFERENCE_SPEED
    seconds = 60 * (train.get("minutes") or DEFAULT_MINUTES)
    shape = base.config.model
    model = {**shape.model_dump(), "dropout": 0.0, "context_length": _context_length(base), **chosen.get("model", {})}
    in_time = seconds * tokens_per_second(shape.n_layers, shape.d_model, shape.vocab_size, speed)
    tokens = tokens_to_read(train, n_tokens, in_time)
    batch_tokens = BATCH_TOKENS if train.get("steps") else choose_batch(tokens, n_tokens)
    steps = train.get("steps") or tokens / batch_tokens
    filled = {"batch_size": max(1, round(batch_tokens / model["context_length"])),
              "warmup_steps": min(MAX_WARMUP_STEPS, int(steps / 10)), **train}
    section = {**chosen["base"], "folder": base.folder, "fingerprint": base.fingerprint}
    sample = {**base.config.sample.model_dump(), **chosen.get("sample", {})}
    return {"model": model, "train": filled, "sample": sample, "base": section}


def _context_length(base: Base) -> int:
    shape = base.config.model
    return shape.context_length if shape.positions == "learned" else min(MAX_CONTEXT, shape.context_length)


def fine_tuned_bits(base: float, from_nothing: float, n_bytes: int) -> float:
    """Bits a byte to expect of a fine-tuned model, where its base has `base` on the text as it is, and a run from nothing
    would reach `from_nothing`."""
    return round(min(base, from_nothing), 2)

