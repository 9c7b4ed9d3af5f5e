"""One sequence, one step at a time, straight on a backend: the reference for what a batch generates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinylm.config.schema import SampleConfig
from tinylm.generation.backend import Backend, Chunk
from tinylm.generation.context import ContextWindow, max_new_tokens
from tinylm.sampling.filters import Logits
from tinylm.sampling.sampler import Sampler


class StepDecoder(ContextWindow):
    """A sequence and the logits (V,) after it. Raises: TinyLMError: a logit is not finite."""

    logits: Logits

    def __init__(self, backend: Backend, ids: Sequence[int]) -> None:
        super().__init__(ids, backend.limit)
        self._backend, self._cache = backend, backend.new_cache()
        self._read(self.visible)

    def append(self, next_id: int) -> None:
        """Adds an id; `logits` is then what follows it."""
        if self.extend(next_id):
            self._cache = self._backend.new_cache()
            self._read(self.visible)
        else:
            self._read([next_id])

    def generate(self, sampler: Sampler, max_new: int, eos_id: int) -> Iterator[int]:
        """New ids, one by one; `logits` is then what the id was chosen from."""
        for left in range(max_new, 0, -1):
            next_id = sampler.next(self.logits)
            yield next_id
            if next_id == eos_id:
                return
            if left > 1:
                self.append(next_id)

    def _read(self, ids: list[int]) -> None:
        for start in range(0, len(ids), self._backend.block):
            some = ids[start:start + self._backend.block]
            found, = self._backend.forward([Chunk(self._cache, some, start + len(some) == len(ids))])
        if isinstance(found, Exception):
            raise found
        assert found is not None
        self.logits = found.copy()


def generate_ids(decoder: StepDecoder, config: SampleConfig, *, eos_id: int, seed: int, bias: Logits | None = None,
                 forced: Sequence[int] = ()) -> Iterator[int]:
    """New ids up to `eos_id` or `max_tokens`. Raises: TinyLMError: as `Batch.add`."""
    bias = np.zeros_like(decoder.logits) if bias is None else bias
    sampler = Sampler(config, decoder.ids, bias, seed, forced)
    yield from decoder.generate(sampler, max_new_tokens(config, decoder.ids, decoder.limit), eos_id)
