"""PyTorch as a backend, with a key/value cache: the reference, and for the models that the engine does not serve."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tinylm.errors import TinyLMError
from tinylm.generation.backend import Chunk, result_or_error
from tinylm.model.kv_cache import KVCache
from tinylm.model.threads import torch_threads
from tinylm.model.transformer import TinyLM
from tinylm.sampling.filters import Logits
from tinylm.sampling.finite import finite
from tinylm.sampling.sampler import Sampler


class TorchCache:
    """The ids of one sequence that torch has read, with their keys and values.

    Args:
        model: in evaluation mode.
        cores: threads of torch; None: as many as torch has been given.
        use_cache: False computes all positions anew at every step, as the notebook does.
    """

    def __init__(self, model: TinyLM, *, cores: int | None = None, use_cache: bool = True) -> None:
        self.model, self._cores = model, cores or torch.get_num_threads()
        self._ids: list[int] = []
        use_cache = use_cache and model.config.causal  # without the mask, earlier positions change with later ones
        self._kv_cache = self._new_kv_cache() if use_cache else None

    def copy(self) -> TorchCache:
        """An independent copy, for a sequence that goes on in another way."""
        twin = TorchCache(self.model, cores=self._cores, use_cache=False)
        twin._ids, twin._kv_cache = self._ids, deepcopy(self._kv_cache)
        return twin

    def read(self, ids: Sequence[int]) -> Logits:
        """Reads ids after the earlier ones, and gives the logits (V,) after the last.

        Raises:
            TinyLMError: the model is damaged: a logit is not finite.
        """
        self._ids = [*self._ids, *ids] if self._kv_cache is None else [*ids]
        with torch_threads(self._cores), torch.no_grad():  # between tokens, its number of threads is the caller's own
            rows = torch.tensor([self._ids], device=self.model.embed.weight.device)
            logits: Tensor = self.model(rows, self._kv_cache)
            return finite(logits[0, -1].float().cpu().numpy())

    def _new_kv_cache(self) -> KVCache:
        weight = self.model.embed.weight
        return KVCache(self.model.config, 1, self.model.config.context_length, device=weight.device, dtype=weight.dtype)


class TorchBackend:
    """PyTorch as a backend: sequences one after another, each prompt whole.

    The last digits of what torch computes depend on what it computes together, so a sequence that is computed alone is
    the same in any company. Arguments: as `TorchCache`.
    """

    block = sys.maxsize

    def __init__(self, model: TinyLM, *, cores: int | None = None, use_cache: bool = True) -> None:
        self.model, self.limit = model, model.config.context_length
        self._cores, self._use_cache = cores, use_cache

    def new_cache(self) -> TorchCache:
        return TorchCache(self.model, cores=self._cores, use_cache=self._use_cache)

    def copy_cache(self, cache: TorchCache) -> TorchCache:
        return cache.copy()

    def forward(self, chunks: Sequence[Chunk]) -> list[Logits | TinyLMError | None]:
        return [self._read(chunk) for chunk in chunks]

    def sample(self, caches: Sequence[TorchCache], logits: Logits, samplers: Sequence[Sampler],  # noqa: ARG002
               eos_id: int) -> list[int | TinyLMError]:  # noqa: ARG002
        return [result_or_error(partial(sampler.next, row)) for sampler, row in zip(samplers, logits, strict=True)]

    def decode(self, caches: Sequence[TorchCache], *_: Any) -> list[None]:
        """Leaves all sequences to `forward`: torch does one step a call."""
        return [None] * len(caches)

    def _read(self, chunk: Chunk) -> Logits | TinyLMError:
        try:
            return chunk.cache.read(chunk.ids)
        except TinyLMError as error:
            return error
