"""The records of a run, read back: a file of events, a line each, in which any line may be damaged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tinylm.training.events import Began, Event, Finished, RolledBack, Sampled, Stepped, Validated

_CHECKS: dict[str, TypeAdapter[Any]] = {
    event.kind: TypeAdapter(event) for event in (Began, Stepped, Validated, Sampled, RolledBack, Finished)}
_FIELDS_ADDED_LATER: dict[str, Any] = {"layer_gradients": {}}
"""What the records of an earlier tinylm do not have."""
MAX_COUNT = 2**53
"""Whole numbers up to here are exact in every reader of JSON; no run counts further."""


def read_events(path: Path) -> Iterator[Event]:
    """The events of a file, in its order. What is no event is left out: a line cut off in the middle, a field of the
    wrong type, a kind that only a newer tinylm knows.

    Raises: OSError: the file cannot be read.
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            event = parse_event(line)
            if event is not None:
                yield event


def parse_event(line: str) -> Event | None:
    """The event of a line; None: it is none."""
    try:
        fields = json.loads(line)
        event: Event = _CHECKS[fields["event"]].validate_python(_FIELDS_ADDED_LATER | fields)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    counts = (value for value in vars(event).values() if isinstance(value, int))
    return event if all(0 <= count < MAX_COUNT for count in counts) else None


@dataclass
class History:
    """The events of a run by kind, in their order: what a rollback undid stands apart.

    Attributes:
        began: None in the records of an earlier tinylm.
        rolled_back: for each rollback, the steps that it undid.
        finished: None as long as the run is not over.
    """

    began: Began | None = None
    steps: list[Stepped] = field(default_factory=list)
    rolled_back: list[list[Stepped]] = field(default_factory=list)
    validations: list[Validated] = field(default_factory=list)
    rollbacks: list[RolledBack] = field(default_factory=list)
    finished: Finished | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        history = cls()
        for event in events:
            history.add(event)
        return history

    def add(self, event: Event) -> None:
        """Takes in the next event of the run."""
        match event:
            case Began():
                self.began = event
            case Stepped():
                self.steps.append(event)
                self.finished = None  # a run that was over has been given more steps
            case Validated():
                self.validations.append(event)
            case RolledBack():
                self.rollbacks.append(event)
                self.rolled_back.append([step for step in self.steps if step.step > event.to_step])
                self.steps = [step for step in self.steps if step.step <= event.to_step]
                self.validations = [each for each in self.validations if each.step <= event.to_step]
            case Finished():
                self.finished = event

    @property
    def best(self) -> Validated | None:
        """The validation with the lowest loss: its weights are the ones that are kept."""
        finite = [each for each in self.validations if math.isfinite(each.loss)]
        return min(finite, key=lambda each: each.loss, default=None)

    @property
    def bits_per_byte_per_nat(self) -> float | None:
        """Bits a byte for each nat a token of the text that is evaluated; None where nothing is known of its size."""
        tokens, size = self._evaluated_text()
        return tokens / size / math.log(2) if tokens and size else None

    @property
    def left_out_bits(self) -> float:
        """Bits a byte for what the tokens of that text leave out; 0 where the records are damaged."""
        bits = self.began.left_out_bits if self.began else 0.0
        return bits / max(1, self._evaluated_text()[1]) if 0 <= bits < MAX_COUNT else 0.0

    def _evaluated_text(self) -> tuple[int, int]:
        """Tokens and bytes of the text that is evaluated."""
        if self.began is None:
            return 0, 0
        if self.began.validation_tokens:
            return self.began.validation_tokens, self.began.validation_bytes
        return self.began.train_tokens, self.began.train_bytes
