"""Decoding by PyTorch, with the past in a key/value cache: the reference, and for what the engine does not serve."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tinylm.generation.logits import Logits
from tinylm.generation.window import Window, finite
from tinylm.model.kv_cache import KVCache
from tinylm.model.threads import torch_threads
from tinylm.model.transformer import TinyLM


class Decoder(Window):
    """
    Args:
        model: in evaluation mode.
        ids: the prompt, at least one id.
        cores: for torch; none: as many as it has been given.
        use_cache: False computes the whole past anew at every step, as the notebook does.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """

    def __init__(self, model: TinyLM, ids: Sequence[int], *, cores: int | None = None,
                 use_cache: bool = True) -> None:
        self.model = model
        self.use_cache = use_cache and model.config.causal  # without the mask, the past changes with the future
        self._cores = cores or torch.get_num_threads()
        super().__init__(ids, model.config.context_length)

    def read(self, ids: list[int]) -> Logits:
        self._cache = self._new_cache() if self.use_cache else None
        return self._ask(ids)

    def read_more(self, next_id: int) -> Logits:
        return self.read(self.view) if self._cache is None else self._ask([next_id])

    @torch.no_grad()
    def _ask(self, ids: list[int]) -> Logits:
        with torch_threads(self._cores):  # between tokens, torch's number of threads is the caller's own
            logits: Tensor = self.model(torch.tensor([ids], device=self.model.embed.weight.device), self._cache)
            return finite(logits[0, -1].float().cpu().numpy())

    def _new_cache(self) -> KVCache:
        weight = self.model.embed.weight
        return KVCache(self.model.config, 1, self.model.config.context_length, device=weight.device, dtype=weight.dtype)
