"""The subject of a lesson's pictures: a model with a sentence, and what is computed of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.inspection.explanation import Explanation
from tinylm.learn.html.snapshots import Snapshot
from tinylm.lm import LanguageModel
from tinylm.reports.history import History, read_events
from tinylm.text.rows import IGNORE, Batch

MEASURED_TOKENS = 4096
"""Tokens of the model's text that pictures count, at most."""


@dataclass(frozen=True)
class Subject:
    """A model and a sentence.

    Attributes:
        name: of the model, for people.
        text: the sentence.
        snapshots: of the run that made it; empty where it cannot be watched again.
    """

    name: str
    lm: LanguageModel
    text: str
    snapshots: tuple[Snapshot, ...] = ()

    @cached_property
    def explanation(self) -> Explanation:
        """The explanation of the model on the sentence."""
        return self.lm.explain(self.text)

    @cached_property
    def tokens(self) -> list[str]:
        """The tokens of the sentence, `<bos>` included."""
        return [self.lm.tokenizer.token(id) for id in self.explanation.ids]

    @cached_property
    def own_text(self) -> tuple[str, list[Batch]]:
        """Batches of the text that the model is evaluated by, and its name: "validation" or "train".

        Raises:
            TinyLMError: the training text has moved or changed.
        """
        return self.lm.evaluator.own_batches(MEASURED_TOKENS)

    @cached_property
    def pairs(self) -> Counter[tuple[int, int]]:
        """The counts of each token (its id) followed by another in that text. Raises: as `own_text`."""
        return Counter(pair for inputs, targets in self.own_text[1]
                       for pair in zip(inputs.ravel().tolist(), targets.ravel().tolist(), strict=True)
                       if pair[1] != IGNORE)

    @cached_property
    def history(self) -> History:
        """The records of the run. Raises: TinyLMError: there are none, as of a model that was imported."""
        folder = self.lm.folder
        try:
            history = History.of(read_events(folder / model_folder.METRICS)) if folder else History()
        except OSError:
            history = History()
        if not history.steps:
            raise TinyLMError("it has no records of a run", where=str(folder or self.name), remedy="Train a model here")
        return history
