"""A text in progress, on the engine."""

from __future__ import annotations

from collections.abc import Sequence

from tinylm.generation.engine.engine import Engine, Stream
from tinylm.generation.logits import Logits
from tinylm.generation.window import Window

MOST_ROWS = 128
"""Positions computed together. Weights are read once for all of these, so more would take memory and no less time."""


class EngineDecoder(Window):
    """Args:
        ids: the prompt, at least one id.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """

    def __init__(self, engine: Engine, ids: Sequence[int]) -> None:
        self.engine, self._stream = engine, Stream(engine.config)
        super().__init__(ids, engine.config.context_length)

    def read(self, ids: list[int]) -> Logits:
        self._stream.length = 0
        for start in range(0, len(ids), MOST_ROWS):
            some, is_last = ids[start:start + MOST_ROWS], start + MOST_ROWS >= len(ids)
            logits = self.engine.read([self._stream] * len(some), some, outputs=int(is_last))
        return logits[0].copy()

    def read_more(self, next_id: int) -> Logits:
        return self.engine.read([self._stream], [next_id], outputs=1)[0].copy()
