"""The key/value cache: what earlier positions offer to later ones does not change, so it is computed once.

Axis letters: B batch, S key positions so far, T new positions, G key/value heads, K d_head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tinylm.config.schema import ModelConfig

INITIAL_CAPACITY = 512
"""Positions that room is made for at first: most texts are far shorter than the longest that a model may see."""


class LayerCache:
    """Keys and values of one layer. Their room doubles when it is full, up to `capacity` positions."""

    def __init__(self, keys: Tensor, values: Tensor, capacity: int) -> None:
        self.keys, self.values = keys, values  # (B, G, capacity, K)
        self.capacity = capacity
        self.length = 0

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Appends the new (B, G, T, K) and returns all so far, (B, G, S, K)."""
        end = self.length + k.shape[2]
        assert end <= self.capacity, "the cache is full"
        allocated = self.keys.shape[2]
        if end > allocated:
            more = min(self.capacity, max(end, 2 * allocated)) - allocated
            self.keys, self.values = (F.pad(held, (0, 0, 0, more)) for held in (self.keys, self.values))
        self.keys[:, :, self.length : end] = k
        self.values[:, :, self.length : end] = v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class KVCache:
    """One `LayerCache` a layer. Hand it to `TinyLM.forward` together with the new ids only.

    Args:
        batch: sequences decoded side by side.
        capacity: most positions it can hold.
    """

    def __init__(self, config: ModelConfig, batch: int, capacity: int, *, device: torch.device | str = "cpu",
                 dtype: torch.dtype = torch.float32) -> None:
        shape = (batch, config.n_kv_heads, min(capacity, INITIAL_CAPACITY), config.d_head)

        def zeros() -> Tensor:
            return torch.zeros(shape, device=device, dtype=dtype)

        self.layers = [LayerCache(zeros(), zeros(), capacity) for _ in range(config.n_layers)]
        self._capacity = capacity
        self.length = 0  # positions held so far; TinyLM.forward moves it on

    @property
    def capacity(self) -> int:
        return self._capacity
