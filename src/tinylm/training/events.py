"""Events: what happens in a training run, as typed records. Terminal, metrics.jsonl and tests read the same events.

No event holds a time of day or a duration: the same run gives the same events, to the byte.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True)
class Began:
    """The facts of a run, before its first step.

    Attributes:
        parameters: numbers that the model learns.
        train_bytes, validation_bytes: of the texts in UTF-8.
        validation_tokens: 0 where nothing was held out.
        baselines: bits a byte of the evaluated text, by name (evaluation/report.py).
        repeated: the share of the validation text that stands in the training text word for word, in stretches of some
            64 bytes or more.
        unknown: the share of the validation text's tokens that are `<unk>`.
        ngram_order: the n of the baseline `ngram`.
        padding_counted: the loss of a step includes padding, which is easy, so it cannot be compared with the
            validation loss.
        left_out_bits: the cost of what the tokens of the evaluated text leave out (text/left_out.py).
        questions: of conversations, the questions with an answer to train on; 0: the text has no turns. The tokens and
            bytes to validate on are then of the answers alone.
        commonest_answer: the share of the answer that is given most often.
        questions_left_out: those that do not fit with their answers into the context.
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
    questions: int = 0
    commonest_answer: float = 0.0
    questions_left_out: int = 0

    @property
    def is_fine_tuning(self) -> bool:
        """True if the run goes on from a base, which is then one of the baselines."""
        return "base" in self.baselines


@dataclass(frozen=True)
class Stepped:
    """An update of the weights.

    Attributes:
        step: updates so far, this one included.
        loss: of the batch before the update, in nats a token.
        learning_rate: of the first optimiser.
        gradient_norm: of the whole gradient, before clipping.
        layer_gradients: the norms of its parts: `embed`, `layers.0`, ..., `ln_f`, `out_head`; frozen parts have none.
        tokens_seen: of all batches so far, padding included.
        epoch: how often the training text has been read.
    """

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
    """A validation: the loss on the whole validation text, in nats a token, after `step` updates.

    Attributes:
        best: the loss is the lowest so far.
    """

    kind: ClassVar[str] = "validation"
    step: int
    loss: float
    best: bool


@dataclass(frozen=True)
class Sampled:
    """A short text of the model as it was after `step` updates (evaluation/memorization.py measures what is copied).

    Attributes:
        longest_copied: so many words in a row stand in the training text.
        copied_unit: "words" or "characters".
        copied_share: the share of its 8-grams that stand in the training text.
    """

    kind: ClassVar[str] = "sample"
    step: int
    prompt: str
    text: str
    longest_copied: int = 0
    copied_unit: str = "words"
    copied_share: float = 0.0


@dataclass(frozen=True)
class RolledBack:
    """A rollback: a number in step `step` was not finite, so the run goes on from an earlier checkpoint.

    Attributes:
        to_step: the step of the checkpoint.
        where: the part of the model with the number (diagnostics/nonfinite.py).
        learning_rate_scale: the learning rate from now on, in terms of the planned one.
    """

    kind: ClassVar[str] = "rollback"
    step: int
    to_step: int
    where: str
    learning_rate_scale: float


StopReason = Literal["finished", "until", "interrupted", "overfitting", "not finite"]


@dataclass(frozen=True)
class Finished:
    """The end of a run. The model now holds the weights of `best_step`.

    Attributes:
        reason: why the run ended.
        best_step: the step of the lowest validation loss; without a validation, the last.
        best_loss: in nats a token; None without a validation.
        where: the part of the model with the number that was not finite, if that ended the run.
    """

    kind: ClassVar[str] = "finished"
    step: int
    reason: StopReason
    best_step: int
    best_loss: float | None
    tokens_seen: int
    where: str = ""


Event = Began | Stepped | Validated | Sampled | RolledBack | Finished


def to_json_line(event: Event) -> str:
    """Formats an event as a line of metrics.jsonl.

    >>> to_json_line(Validated(step=20, loss=1.5, best=True))
    '{"event": "validation", "step": 20, "loss": 1.5, "best": true}\\n'
    """
    return json.dumps({"event": event.kind, **asdict(event)}) + "\n"
