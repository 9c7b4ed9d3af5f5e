"""Decoding: the model asked for one next id after another, with the past kept in a key/value cache."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from tinylm.config import SampleConfig
from tinylm.errors import TinyLMError
from tinylm.generation.logits import choose
from tinylm.model.kv_cache import KVCache
from tinylm.model.transformer import TinyLM


class Decoder:
    """A text in progress: knows its ids, and what the model expects next.

    A text that outgrows `context_length` slides: its first id (`<bos>`) and its later half stay in view, the rest is
    forgotten, as it must be for a model that has never seen more.

    Args:
        model: in evaluation mode.
        ids: the prompt, at least one id.
        use_cache: False computes the whole past anew at every step, as the notebook does.

    Raises:
        TinyLMError: the model is damaged: a logit is not finite.
    """

    def __init__(self, model: TinyLM, ids: Sequence[int], *, use_cache: bool = True) -> None:
        assert ids, "a prompt has at least <bos>"
        self.model, self.ids = model, list(ids)
        self.use_cache = use_cache and model.config.causal  # without the mask, the past changes with the future
        self.forgotten = 0
        self._view: list[int] = []
        self.logits = self._read(self._slide(self.ids))

    def append(self, next_id: int) -> None:
        """Adds an id; `logits` is then what follows it."""
        self.ids.append(next_id)
        if len(self._view) < self.model.config.context_length:
            self.logits = self._read_more(next_id)
        else:
            self.logits = self._read(self._slide([*self._view, next_id]))

    def _slide(self, ids: Sequence[int]) -> list[int]:
        limit = self.model.config.context_length
        if len(ids) <= limit:
            return list(ids)
        keep = max(1, limit // 2)
        view = [ids[0], *ids[-(keep - 1):]] if keep > 1 else [ids[-1]]
        self.forgotten += len(ids) - len(view)
        return view

    @torch.no_grad()
    def _read(self, ids: list[int]) -> Tensor:
        self._view = ids
        self._cache = self._new_cache() if self.use_cache else None
        device = self.model.embed.weight.device
        return _finite(self.model(torch.tensor([ids], device=device), self._cache)[0, -1])

    @torch.no_grad()
    def _read_more(self, next_id: int) -> Tensor:
        if self._cache is None:
            return self._read([*self._view, next_id])
        self._view.append(next_id)
        device = self.model.embed.weight.device
        return _finite(self.model(torch.tensor([[next_id]], device=device), self._cache)[0, -1])

    def _new_cache(self) -> KVCache:
        weight = self.model.embed.weight
        return KVCache(self.model.config, 1, self.model.config.context_length, device=weight.device, dtype=weight.dtype)


def _finite(logits: Tensor) -> Tensor:
    if not logits.isfinite().all():
        raise TinyLMError("the model computes a number that is not finite: its weights or settings are damaged",
                          remedy="Restore its folder from a copy, or train again")
    return logits


def fresh_seed() -> int:
    return secrets.randbits(32)


def generate_ids(decoder: Decoder, config: SampleConfig, *, eos_id: int, seed: int) -> Iterator[int]:
    """New ids, one by one, until `<eos>` (which is the last one yielded) or `max_tokens`."""
    generator = torch.Generator().manual_seed(seed)
    for remaining in range(config.max_tokens, 0, -1):
        next_id = choose(decoder.logits, config, decoder.ids, generator)
        yield next_id
        if next_id == eos_id:
            return
        if remaining > 1:
            decoder.append(next_id)
