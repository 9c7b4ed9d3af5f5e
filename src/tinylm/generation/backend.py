"""What a batch asks of a model: to read some ids of some texts, each after what was read of it before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from tinylm.engine.engine import PREFILL_CHUNK, Engine, GeneratedIds
from tinylm.engine.kv_cache import SequenceCache
from tinylm.errors import TinyLMError
from tinylm.sampling.filters import Logits
from tinylm.sampling.sampler import Sampler


class Chunk(NamedTuple):
    """Ids to read after what `cache` holds, and whether it is asked what follows them."""

    cache: Any
    ids: list[int]
    wants_logits: bool


class Backend(Protocol):
    """A model that reads several texts side by side. What it says of one does not depend on the others.

    Attributes:
        limit: the most positions of a text.
        block: the most positions that one call should have.
    """

    limit: int
    block: int

    def new_cache(self) -> Any:
        """The cache of a text of which nothing has been read."""

    def copy_cache(self, cache: Any) -> Any:
        """The same cache once more, to go on from in another way."""

    def forward(self, chunks: Sequence[Chunk]) -> list[Logits | TinyLMError | None]:
        """Reads the chunks; those of one cache in their order, and all of these or none ask. For each that asks there
        is what follows it, (V,), which the next call may overwrite; or what is wrong with it: a number that is not
        finite."""

    def decode(self, caches: Sequence[Any], ids: Sequence[int], samplers: Sequence[Sampler], eos_id: int,
              steps: Sequence[int]) -> Sequence[GeneratedIds | None]:
        """Reads an id of each text, chooses the next, reads that, and so on, at most so many of each (`Engine.
        write_together`). None for a text with which nothing was done: it is to be read."""


class EngineBackend:
    """By the compiled engine: all chunks in one call."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.limit, self.block = engine, engine.config.context_length, PREFILL_CHUNK

    def new_cache(self) -> SequenceCache:
        return SequenceCache(self.engine.config)

    def copy_cache(self, cache: SequenceCache) -> SequenceCache:
        return cache.copy()

    def forward(self, chunks: Sequence[Chunk]) -> list[Logits | TinyLMError | None]:
        lengths = [chunk.cache.length for chunk in chunks]
        try:
            return self._forward(chunks)
        except TinyLMError as error:  # the engine does not say whose number it was, so each is asked alone
            if len(chunks) == 1:
                return [error]
        for chunk, length in zip(chunks, lengths, strict=True):
            chunk.cache.length = length
        alone: list[Logits | TinyLMError | None] = []
        for chunk in chunks:
            found, = self.forward([chunk])
            alone.append(found if found is None or isinstance(found, TinyLMError) else found.copy())
        return alone

    def decode(self, caches: Sequence[SequenceCache], ids: Sequence[int], samplers: Sequence[Sampler], eos_id: int,
              steps: Sequence[int]) -> Sequence[GeneratedIds | None]:
        return self.engine.write_together(caches, ids, samplers, eos_id, steps)

    def _forward(self, chunks: Sequence[Chunk]) -> list[Logits | TinyLMError | None]:
        """The engine gives what follows the last rows of a call: there stand the last ids of those that ask."""
        early = [(cache, id) for cache, ids, wants_logits in chunks for id in (ids[:-1] if wants_logits else ids)]
        last = [(cache, ids[-1]) for cache, ids, wants_logits in chunks if wants_logits]
        streams, ids = zip(*early, *last, strict=True)
        logits = iter(self.engine.read(streams, ids, len(last)))
        return [next(logits) if chunk.wants_logits else None for chunk in chunks]
