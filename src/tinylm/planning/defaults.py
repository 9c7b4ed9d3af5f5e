"""Defaults of a run: the values that nobody chose follow from a few rules, which stand here with their reasons.

| choice          | rule                                              | reason                                        |
|-----------------|---------------------------------------------------|-----------------------------------------------|
| size            | the largest that reads, in the time, 2 tokens for | a larger model learns more from each token,   |
|                 | each weight in its layers, or the text as often   | but a machine gets through fewer; with too    |
|                 | as is of use; with at most 10 such weights for    | many weights it learns the text by heart      |
|                 | each byte of text                                 |                                               |
| max_epochs      | as many as are of use, however much time is left, | what is read more often is learned by heart,  |
|                 | where there is more than a weight for each byte   | and the learning rate should be down by then  |
| context_length  | 128 tokens; 256 from 2M weights on                | attention costs its square, and a small model |
|                 |                                                   | makes little of what lies further back        |
|                 | the longest conversation, and 1,024 at most       | what is cut off has no question, or no answer |
| batch_size      | about 4,096 tokens; half or a quarter of that     | small batches waste cores, and a run of few   |
|                 | where the run would have fewer than 300 steps, or | steps gets nowhere                            |
|                 | an epoch fewer than 10                            |                                               |
| warmup_steps    | a tenth of the run, at most 100                   | the first gradients are the wildest           |
| weight_decay,   | by epochs: see `REGULARISATION`                   | against learning by heart, weight decay is    |
| dropout         |                                                   | worth more than dropout, which slows learning |
| optimizer       | Muon for matrices at 0.02, AdamW at 0.01          | LOG.md, "Muon against AdamW"                  |

The numbers rest on the experiments of benchmarks/plan_rules.py (LOG.md, "What suits which text and time"). The
tokenizer's rule is text/tokenizer.py's. A run of minutes is planned from the speed measured on the machine (speed.py);
one that is counted in steps or epochs from a speed that stands for all machines.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from tinylm.config.presets import SIZES, PartialConfig, size
from tinylm.config.schema import TrainConfig

DEFAULT_MINUTES = 5.0
TOKENS_PER_WEIGHT = 2.0
WEIGHTS_PER_BYTE = 10.0
MIN_USEFUL_EPOCHS = 4.0
MIN_SHARE_OF_USEFUL_EPOCHS = 0.8
"""A size is chosen only if the run reads the text this share of the useful epochs, at least."""
MAX_CHAT_CONTEXT = 1024
"""Tokens of a row, at most, where nobody chose: a longer conversation is cut between two turns."""
BATCH_TOKENS, MIN_BATCH_TOKENS = 4096, 1024
MIN_STEPS, MIN_STEPS_PER_EPOCH = 300, 8
REGULARISATION = ((100, 6.0, 0.2), (50, 3.0, 0.1), (8, 1.0, 0.1), (1, 1.0, 0.0), (0, 0.5, 0.0))
"""(epochs from which on, weight decay, dropout). One epoch is the border between fresh text and repeated text."""
MAX_WARMUP_STEPS = 100
REFERENCE_SPEED = 75e9
"""Stands for the machine's speed where steps or epochs are counted: such a run is the same on every machine."""


def training_flops(n_layers: int, d_model: int, vocab_size: int) -> float:
    """FLOPs of training on one token, nearly: 2 forward and 4 backward for each weight in a product. Muon's products
    come on top: for each matrix some 15 of its own width, shared by the tokens of a batch (optimizer.py,
    `newton_schulz`)."""
    layers = 12 * n_layers * d_model**2
    return 6 * (layers * (1 + 5 * d_model / BATCH_TOKENS) + vocab_size * d_model)


def width_factor(d_model: int) -> float:
    """FLOP/s that a machine reaches at a width, in terms of those at 128: wider models keep it busier.
    Measured on a CPU: 0.6 to 0.7 at 64, 1.07 at 192, 1.24 at 256, 1.38 at 384."""
    return math.pow(d_model / 128, 0.3)


def tokens_per_second(n_layers: int, d_model: int, vocab_size: int, speed: float) -> float:
    """Training speed of a shape on a machine of `speed` (speed.py)."""
    return speed * width_factor(d_model) / training_flops(n_layers, d_model, vocab_size)


def useful_epochs(n_bytes: int) -> float:
    """Number of epochs that pay, with the size and the weight decay that the other rules give: 230 for 5 KB, 28 for
    100 KB, 6 for a megabyte.

    >>> [round(useful_epochs(n_bytes)) for n_bytes in (5_000, 100_000, 1_000_000)]
    [232, 28, 6]
    """
    return max(MIN_USEFUL_EPOCHS, 90_000 / max(1, n_bytes) ** 0.7)


def choose_size(n_bytes: int, n_tokens: int, vocab_size: int, seconds: float, speed: float,
                fitting: Collection[str] = ()) -> str:
    """The name of the size that suits a text of `n_bytes`, which are `n_tokens`, and a training time.

    Args:
        fitting: the sizes that the memory holds; empty: all.
    """
    names = [name for name in SIZES if name in fitting or not fitting]
    best = names[0]
    for name in names:
        n_layers, d_model, _ = SIZES[name]
        weights = 12 * n_layers * d_model**2
        in_time = tokens_per_second(n_layers, d_model, vocab_size, speed) * seconds
        enough = min(TOKENS_PER_WEIGHT * weights, MIN_SHARE_OF_USEFUL_EPOCHS * useful_epochs(n_bytes) * n_tokens)
        if in_time >= enough and weights <= WEIGHTS_PER_BYTE * n_bytes:
            best = name
    return best


def choose_regularisation(epochs: float) -> tuple[float, float]:
    """Weight decay and dropout of a run that reads its text so often."""
    return next((decay, dropout) for border, decay, dropout in REGULARISATION if epochs >= border)


def choose_batch(tokens: float, n_tokens: int) -> int:
    """Tokens of a batch, for a run that reads so many from a text of `n_tokens`."""
    batch = BATCH_TOKENS
    while batch > MIN_BATCH_TOKENS and (tokens / batch < MIN_STEPS or n_tokens / batch < MIN_STEPS_PER_EPOCH):
        batch //= 2
    return batch


def fill_defaults(chosen: PartialConfig, *, n_bytes: int, n_tokens: int, vocab_size: int, speed: float,
                  longest: int = 0, fitting: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """The model and train sections that the rules give where `chosen` says nothing.

    Args:
        n_bytes, n_tokens: of the training text.
        speed: of the machine, from `speed.measure_speed`.
        longest: tokens of the longest conversation; 0: the text has none.
        fitting: the sizes that the memory holds; empty: all.
    """
    given, train = chosen.get("model", {}), dict(chosen.get("train", {}))
    if not any(train.get(name) for name in ("steps", "epochs", "minutes")):
        train["minutes"] = DEFAULT_MINUTES
    if not train.get("minutes"):
        speed = REFERENCE_SPEED
    seconds = 60 * (train.get("minutes") or DEFAULT_MINUTES)
    model: dict[str, Any] = {"vocab_size": vocab_size}
    if not has_size(given):
        model |= size(choose_size(n_bytes, n_tokens, vocab_size, seconds, speed, fitting))["model"]
    shape = {"n_layers": 4, "d_model": 128, **model, **given}
    weights = 12 * shape["n_layers"] * shape["d_model"] ** 2
    model["context_length"] = max(128 if weights < 1_500_000 else 256, min(longest, MAX_CHAT_CONTEXT))
    context_length = given.get("context_length", model["context_length"])
    in_time = seconds * tokens_per_second(shape["n_layers"], shape["d_model"], vocab_size, speed)
    if train.get("minutes") and not has_size(given) and weights > n_bytes:
        train.setdefault("max_epochs", round(useful_epochs(n_bytes), 1))
    tokens = tokens_to_read(train, n_tokens, in_time)
    weight_decay, model["dropout"] = choose_regularisation(tokens / max(1, n_tokens))
    batch_tokens = BATCH_TOKENS if train.get("steps") else choose_batch(tokens, n_tokens)
    steps = train.get("steps") or tokens / batch_tokens
    filled = {"batch_size": max(1, round(batch_tokens / context_length)),
              "warmup_steps": min(MAX_WARMUP_STEPS, int(steps / 10)), **train}
    if train.get("optimizer") != "adam":  # whose decay is part of the gradient, and another thing
        filled.setdefault("weight_decay", weight_decay)
    return {"model": {**model, **given}, "train": filled}


def has_size(model: Mapping[str, Any]) -> bool:
    """True if a size, or part of one, was chosen."""
    return any(name in model for name in ("d_model", "n_layers", "n_heads"))


def tokens_to_read(train: Mapping[str, Any], n_tokens: int, in_time: float) -> float:
    if train.get("epochs"):
        return float(train["epochs"]) * n_tokens
    if train.get("steps"):
        return float(train["steps"]) * BATCH_TOKENS
    return min(in_time, (train.get("max_epochs") or math.inf) * n_tokens)


def count_steps(config: TrainConfig, rows_per_epoch: int) -> int | None:
    """Number of steps of a run; of a run of minutes the most it may have, and None where the clock alone ends it."""
    epochs = config.epochs or config.max_epochs
    if config.steps is None and epochs is not None:
        return max(1, math.ceil(epochs * rows_per_epoch / (config.batch_size * config.gradient_accumulation)))
    return config.steps
