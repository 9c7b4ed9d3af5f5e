"""A text in progress, on the engine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from tinylm.engine.engine import PREFILL_CHUNK, Engine
from tinylm.engine.kv_cache import SequenceCache
from tinylm.engine.sampling_records import SamplingRecords
from tinylm.generation.context import Decoder
from tinylm.sampling.filters import Logits
from tinylm.sampling.sampler import Sampler

MAX_STEPS = 256
"""Ids of a run, ..."""
MAX_RUN_SECONDS = 0.01
"""... which should take no longer than so many seconds: whoever reads along is not to see it halt."""


class EngineDecoder(Decoder):
    """Args:
        ids: the prompt, at least one id.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """

    def __init__(self, engine: Engine, ids: Sequence[int]) -> None:
        self.engine, self._stream, self._steps = engine, SequenceCache(engine.config), 1
        super().__init__(ids, engine.config.context_length)

    def read(self, ids: list[int]) -> Logits:
        self._stream.length = 0
        for start in range(0, len(ids), PREFILL_CHUNK):
            some, is_last = ids[start:start + PREFILL_CHUNK], start + PREFILL_CHUNK >= len(ids)
            logits = self.engine.read([self._stream] * len(some), some, outputs=int(is_last))
        return logits[0].copy()

    def read_more(self, next_id: int) -> Logits:
        self._stream.length = len(self.visible) - 1
        return self.engine.read([self._stream], [next_id], outputs=1)[0].copy()

    def write(self, sampler: Sampler, most: int, eos_id: int) -> Iterator[int]:
        """In runs of several ids a call; of the last run nobody may see the end."""
        unread = list[int]()
        while most > 0:
            if unread and self.extend(unread[0]):
                self.logits, unread = self.read(self.visible), []
            steps = min(sampler.same_bias_steps(most), self._steps, self.limit - len(self.visible) + 1)
            ids, logits = self._run(SamplingRecords([sampler], eos_id), unread, steps)
            for step, id in enumerate(ids):
                if step > 0:
                    self.extend(ids[step - 1])
                self.logits = logits[step]
                yield sampler.accept(id)
                if id == eos_id:
                    return
            unread, most = ids[-1:], most - len(ids)

    def _run(self, choices: SamplingRecords, unread: list[int], steps: int) -> tuple[list[int], Logits]:
        """Some ids, of which the last is still to be read, and the logits (steps, V) that they were chosen from."""
        self._stream.length = len(self.visible) - len(unread)
        began = time.perf_counter()
        ids, logits = self.engine.write([self._stream], unread or self.logits[None], choices, steps)
        quick_enough = int(steps * MAX_RUN_SECONDS / (time.perf_counter() - began))
        self._steps = max(1, min(MAX_STEPS, 4 * steps, quick_enough))
        return ids[:, 0].tolist(), logits[:, 0].copy()
