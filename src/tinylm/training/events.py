"""What happens in a training run, as typed events. The terminal, metrics.jsonl and tests are readers of the same ones.

No event holds a time of day or a duration: the same run gives the same events, to the byte.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True)
class Stepped:
    """One update of the weights. `loss` is in nats a token, of the batch before the update."""

    kind: ClassVar[str] = "step"
    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
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
    """A short text of the model as it was after `step` updates."""

    kind: ClassVar[str] = "sample"
    step: int
    prompt: str
    text: str


StopReason = Literal["finished", "until", "interrupted", "not finite"]


@dataclass(frozen=True)
class Finished:
    """The end. The model now holds the weights of `best_step`, whose validation loss was `best_loss` (None: the run
    had no validation, and they are the last)."""

    kind: ClassVar[str] = "finished"
    step: int
    reason: StopReason
    best_step: int
    best_loss: float | None
    tokens_seen: int


Event = Stepped | Validated | Sampled | Finished


def to_json_line(event: Event) -> str:
    """One line of metrics.jsonl."""
    return json.dumps({"event": event.kind, **asdict(event)}) + "\n"
