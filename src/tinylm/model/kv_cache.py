"""The key/value cache: what earlier positions offer to later ones does not change, so it is computed once.

Axis letters: B batch, S key positions so far, T new positions, G key/value heads, K d_head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tinylm.config import ModelConfig


class LayerCache:
    """Keys and values of one layer, in room reserved for `capacity` positions."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values  # (B, G, capacity, K)
        self.length = 0

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Appends the new (B, G, T, K) and returns all so far, (B, G, S, K)."""
        end = self.length + k.shape[2]
        assert end <= self.keys.shape[2], "the cache is full"
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
        shape = (batch, config.n_kv_heads, capacity, config.d_head)

        def room() -> Tensor:
            return torch.zeros(shape, device=device, dtype=dtype)

        self.layers = [LayerCache(room(), room()) for _ in range(config.n_layers)]
        self._capacity = capacity
        self.length = 0  # positions held so far; TinyLM.forward moves it on

    @property
    def capacity(self) -> int:
        return self._capacity
