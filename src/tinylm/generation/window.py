"""A text in progress and the part of it that a model sees, whichever way the model is computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]


class Window(ABC):
    """A text that knows its ids, and what a model expects next.

    One that outgrows the context slides: its first id (`<bos>`) and its later half stay in view, the rest is
    forgotten, as it must be for a model that has never seen more.

    Args:
        ids: the prompt, at least one id.
        limit: the most ids in view.

    Attributes:
        logits: (V,), what follows `ids`.
        forgotten: how many ids are no longer in view.
    """

    logits: Logits

    def __init__(self, ids: Sequence[int], limit: int) -> None:
        assert ids, "a prompt has at least <bos>"
        self.ids, self.limit, self.forgotten = list(ids), limit, 0
        self.view: list[int] = []
        self._look_at(self.ids)

    def append(self, next_id: int) -> None:
        """Adds an id; `logits` is then what follows it."""
        self.ids.append(next_id)
        if len(self.view) < self.limit:
            self.view.append(next_id)
            self.logits = self.read_more(next_id)
        else:
            self._look_at([*self.view, next_id])

    def _look_at(self, ids: Sequence[int]) -> None:
        self.view = list(ids)
        if len(ids) > self.limit:
            keep = max(1, self.limit // 2)
            self.view = [ids[0], *ids[-(keep - 1):]] if keep > 1 else [ids[-1]]
            self.forgotten += len(ids) - keep
        self.logits = self.read(self.view)

    @abstractmethod
    def read(self, ids: list[int]) -> Logits:
        """The logits (V,) after these ids, read from the first on."""

    @abstractmethod
    def read_more(self, next_id: int) -> Logits:
        """The logits (V,) after one id more."""
