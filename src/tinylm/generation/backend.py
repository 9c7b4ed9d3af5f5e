"""The backend: what computes a model for a batch. It reads chunks of sequences, each after what its cache holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from tinylm.engine.engine import PREFILL_CHUNK, Engine, GeneratedIds
from tinylm.engine.kv_cache import SequenceCache
from tinylm.engine.sampling_records import SamplingRecords
from tinylm.errors import TinyLMError
from tinylm.sampling.filters import Logits
from tinylm.sampling.sampler import Sampler


class Chunk(NamedTuple):
    """Ids to read after those that `cache` holds, and whether the logits after the last of them are wanted."""

    cache: Any
    ids: list[int]
    wants_logits: bool


class Backend(Protocol):
    """A model that reads several sequences in one call. The logits of a sequence do not depend on the others.

    Attributes:
        limit: the largest number of positions of a cache (`context_length`).
        block: the largest number of positions that one call should have.
    """

    limit: int
    block: int

    def new_cache(self) -> Any:
        """An empty key/value cache, for one sequence."""

    def copy_cache(self, cache: Any) -> Any:
        """An independent copy of a cache, for a sequence that goes on in another way."""

    def forward(self, chunks: Sequence[Chunk]) -> list[Logits | TinyLMError | None]:
        """Reads the chunks, those of one cache in their order.

        Args:
            chunks: those of one cache all want logits, or none of them does.

        Returns:
            For each chunk that wants them the logits (V,) after its last id, which the next call may overwrite; an
            error where a number is not finite; None for a chunk that wants none.
        """

    def sample(self, caches: Sequence[Any], logits: Logits, samplers: Sequence[Sampler],
               eos_id: int) -> list[int | TinyLMError]:
        """Chooses the next id of each sequence from its logits (sequences, V).

        Returns:
            An id, or what is wrong with the sequence's settings.
        """

    def decode(self, caches: Sequence[Any], ids: Sequence[int], samplers: Sequence[Sampler], eos_id: int,
               steps: Sequence[int]) -> Sequence[GeneratedIds | None]:
        """Reads an id of each sequence, chooses the next, reads that, and so on, `steps` times at most.

        Args:
            ids: the last id of each sequence, which its cache does not hold yet.
            samplers: choose the ids of each sequence (`Engine.write_together`).

        Returns:
            The new ids of each sequence. None where nothing was done: `forward` is to be called instead.
        """


class EngineBackend:
    """The compiled engine as a backend: all chunks in one call."""

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
        except TinyLMError as error:  # the engine does not say whose number it was, so each is read alone
            if len(chunks) == 1:
                return [error]
        for chunk, length in zip(chunks, lengths, strict=True):
            chunk.cache.length = length
        alone: list[Logits | TinyLMError | None] = []
        for chunk in chunks:
            found, = self.forward([chunk])
            alone.append(found if found is None or isinstance(found, TinyLMError) else found.copy())
        return alone

    def sample(self, caches: Sequence[SequenceCache], logits: Logits, samplers: Sequence[Sampler],
               eos_id: int) -> list[int | TinyLMError]:
        """Samples in the engine's own machine code: a second kernel would delay a program's first token by 20 ms."""
        ids, _ = self.engine.write(caches, logits, SamplingRecords(samplers, eos_id), 1)
        return [result_or_error(partial(sampler.accept, id))
                for sampler, id in zip(samplers, ids[0].tolist(), strict=True)]

    def decode(self, caches: Sequence[SequenceCache], ids: Sequence[int], samplers: Sequence[Sampler], eos_id: int,
               steps: Sequence[int]) -> Sequence[GeneratedIds | None]:
        return self.engine.write_together(caches, ids, samplers, eos_id, steps)

    def _forward(self, chunks: Sequence[Chunk]) -> list[Logits | TinyLMError | None]:
        """Calls the engine once. It gives the logits of its last rows, so the ids whose logits are wanted come last."""
        early = [(cache, id) for cache, ids, wants_logits in chunks for id in (ids[:-1] if wants_logits else ids)]
        last = [(cache, ids[-1]) for cache, ids, wants_logits in chunks if wants_logits]
        streams, ids = zip(*early, *last, strict=True)
        logits = iter(self.engine.read(streams, ids, len(last)))
        return [next(logits) if chunk.wants_logits else None for chunk in chunks]


def result_or_error(work: Callable[[], int]) -> int | TinyLMError:
    """The result of `work`, or the error that it raises."""
    try:
        return work()
    except TinyLMError as error:
        return error
