"""Decoding by PyTorch, with the past in a key/value cache: the reference, and for what the engine does not serve."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from tinylm.errors import TinyLMError
from tinylm.generation.backend import Chunk
from tinylm.generation.context import Decoder
from tinylm.model.kv_cache import KVCache
from tinylm.model.threads import torch_threads
from tinylm.model.transformer import TinyLM
from tinylm.sampling.filters import Logits
from tinylm.sampling.finite import finite


class TorchCache:
    """What torch has read of one text.

    Args:
        model: in evaluation mode.
        cores: for torch; none: as many as it has been given.
        use_cache: False computes the whole past anew at every step, as the notebook does.
    """

    def __init__(self, model: TinyLM, *, cores: int | None = None, use_cache: bool = True) -> None:
        self.model, self._cores = model, cores or torch.get_num_threads()
        self._use_cache = use_cache and model.config.causal  # without the mask, the past changes with the future
        self.restart()

    def copy(self) -> TorchCache:
        """The same once more, to go on in another way."""
        twin = TorchCache(self.model, cores=self._cores, use_cache=self._use_cache)
        twin._ids, twin._cache = self._ids, deepcopy(self._cache)
        return twin

    def restart(self) -> None:
        """Nothing has been read."""
        self._ids: list[int] = []
        self._cache = self._new_cache() if self._use_cache else None

    def read(self, ids: Sequence[int]) -> Logits:
        """Reads on; what follows, (V,).

        Raises:
            TinyLMError: the model is damaged: a logit is not finite.
        """
        self._ids = [*self._ids, *ids] if self._cache is None else [*ids]
        with torch_threads(self._cores), torch.no_grad():  # between tokens, its number of threads is the caller's own
            rows = torch.tensor([self._ids], device=self.model.embed.weight.device)
            logits: Tensor = self.model(rows, self._cache)
            return finite(logits[0, -1].float().cpu().numpy())

    def _new_cache(self) -> KVCache:
        weight = self.model.embed.weight
        return KVCache(self.model.config, 1, self.model.config.context_length, device=weight.device, dtype=weight.dtype)


class TorchDecoder(Decoder):
    """A text in progress. Arguments and errors: as `TorchCache`, and `ids`: the prompt, at least one id."""

    def __init__(self, model: TinyLM, ids: Sequence[int], *, cores: int | None = None,
                 use_cache: bool = True) -> None:
        self._cache = TorchCache(model, cores=cores, use_cache=use_cache)
        super().__init__(ids, model.config.context_length)

    def read(self, ids: list[int]) -> Logits:
        self._cache.restart()
        return self._cache.read(ids)

    def read_more(self, next_id: int) -> Logits:
        return self._cache.read([next_id])


class TorchBackend:
    """Reads the texts of a batch one after another, each prompt whole: what torch computes depends, in its last digits,
    on what it computes together."""

    block = sys.maxsize

    def __init__(self, model: TinyLM, *, cores: int | None = None) -> None:
        self.model, self.limit, self._cores = model, model.config.context_length, cores

    def new_cache(self) -> TorchCache:
        return TorchCache(self.model, cores=self._cores)

    def copy_cache(self, cache: TorchCache) -> TorchCache:
        return cache.copy()

    def forward(self, chunks: Sequence[Chunk]) -> list[Logits | TinyLMError | None]:
        return [self._ask(chunk) for chunk in chunks]

    def decode(self, caches: Sequence[TorchCache], *_: Any) -> list[None]:
        """It chooses no ids."""
        return [None] * len(caches)

    def _ask(self, chunk: Chunk) -> Logits | TinyLMError:
        try:
            return chunk.cache.read(chunk.ids)
        except TinyLMError as error:
            return error
