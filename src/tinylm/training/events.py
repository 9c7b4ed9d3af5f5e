"""What happens in a training run, as typed events. The terminal, metrics.jsonl and tests are readers of the same ones.

No event holds a time of day or a duration: the same run gives the same events, to the byte.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True)
class Began:
    """The facts of a run, before its first step.

    Bytes are those of the texts in UTF-8; `validation_tokens` is 0 where nothing was held out. `baselines` are bits a
    byte of the judged text (report.py), where `ngram` counted runs of `ngram_order` tokens. `repeated` is the share of
    the validation text that stands in the training text word for word, in stretches of some 64 bytes or more; `unknown`
    the share of its tokens that are `<unk>`; `left_out_bits` what it takes to tell what the tokens of the judged text
    leave out (text/left_out.py). `padding_counted`: the loss of a step includes padding, which is easy, so it cannot be
    compared with the validation loss.
    """

    kind: ClassVar[str] = "begin"
    parameters: int
    vocab_size: int
    context_length: int
    train_tokens: int
    train_bytes: int
    validation_tokens: int
    validation_bytes: int
    baselines: dict[str, float]
    repeated: float
    unknown: float
    ngram_order: int = 0
    padding_counted: bool = False
    left_out_bits: float = 0.0


@dataclass(frozen=True)
class Stepped:
    """One update of the weights. `loss` is in nats a token, of the batch before the update; `gradient_norm` that of the
    whole gradient before clipping, and `layer_gradients` its parts: `embed`, `layers.0`, ..., `ln_f`, `out_head`."""

    kind: ClassVar[str] = "step"
    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    layer_gradients: dict[str, float]
    tokens_seen: int
    epoch: float


@dataclass(frozen=True)
class Validated:
    """The loss on the whole validation text, in nats a token, after `step` updates."""

    kind: ClassVar[str] = "validation"
    step: int
    loss: float
    best: bool


@dataclass(frozen=True)
class Sampled:
    """A short text of the model as it was after `step` updates. `longest_copied` words of it in a row (or characters:
    `copied_unit`) stand in the training text, and `copied_share` of its 8-grams (evaluation/memorization.py)."""

    kind: ClassVar[str] = "sample"
    step: int
    prompt: str
    text: str
    longest_copied: int = 0
    copied_unit: str = "words"
    copied_share: float = 0.0


@dataclass(frozen=True)
class RolledBack:
    """A number in step `step` was not finite, in `where`. The step was not applied: the run goes on from `to_step`, its
    learning rate from here on `learning_rate_scale` times what was planned."""

    kind: ClassVar[str] = "rollback"
    step: int
    to_step: int
    where: str
    learning_rate_scale: float


StopReason = Literal["finished", "until", "interrupted", "overfitting", "not finite"]


@dataclass(frozen=True)
class Finished:
    """The end. The model now holds the weights of `best_step`, whose validation loss was `best_loss` (None: the run
    had no validation, and they are the last). `where`: the part of the model with the number that was not finite."""

    kind: ClassVar[str] = "finished"
    step: int
    reason: StopReason
    best_step: int
    best_loss: float | None
    tokens_seen: int
    where: str = ""


Event = Began | Stepped | Validated | Sampled | RolledBack | Finished


def to_json_line(event: Event) -> str:
    """One line of metrics.jsonl."""
    return json.dumps({"event": event.kind, **asdict(event)}) + "\n"
