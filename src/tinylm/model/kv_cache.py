"""The key/value cache: keys and values of earlier positions do not change, so each is computed once.

The keys and values of position p lie in slot p. So rows of a batch may stand at different positions: what a row writes
at a position replaces what was there, and a mask hides the slots beyond the row's own position from its queries. Rows
that have parted need `position_ids` in every later call.

Axis letters: B batch, S key positions so far, T new positions, G key/value heads, K d_head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tinylm.config.schema import ModelConfig

INITIAL_CAPACITY = 512
"""Slots allocated at first: most texts are far shorter than the longest that a model may see."""


class KVCache:
    """The keys and values of all layers. `TinyLM.forward` takes it together with the new ids only.

    Args:
        batch: sequences decoded side by side.
        capacity: the most positions that the cache may hold. Memory grows with those that it does hold.

    Attributes:
        layers: one `LayerCache` each.
        length: positions held so far; of rows at different positions, those of the longest.

    >>> from tinylm import ModelConfig, TinyLM
    >>> model = TinyLM(ModelConfig(vocab_size=5))
    >>> cache = KVCache(model.config, batch=2, capacity=8)
    >>> prompts = torch.tensor([[1, 2, 3, 4], [1, 2, 0, 0]])  # of 4 ids and of 2, which is filled up
    >>> model(prompts, cache).shape, cache.length
    (torch.Size([2, 4, 5]), 4)
    >>> model(torch.tensor([[3], [3]]), cache, torch.tensor([[4], [2]])).shape, cache.length
    (torch.Size([2, 1, 5]), 5)
    """

    def __init__(self, config: ModelConfig, batch: int, capacity: int, *, device: torch.device | str = "cpu",
                 dtype: torch.dtype = torch.float32) -> None:
        shape = (batch, config.n_kv_heads, min(capacity, INITIAL_CAPACITY), config.d_head)

        def empty() -> Tensor:
            return torch.zeros(shape, device=device, dtype=dtype)

        self.layers = [LayerCache(self, empty(), empty()) for _ in range(config.n_layers)]
        self.capacity, self.length = capacity, 0
        self.position_ids: Tensor | None = None
        self.mask: Tensor | None = None

    def begin(self, length: int, position_ids: Tensor | None) -> None:
        """Called by `TinyLM.forward` before its layers: the cache will hold `length` positions afterwards.

        Args:
            position_ids: (B, T), where the new positions of each row stand; None: they are the last ones.
        """
        assert length <= self.capacity, "the cache is full"
        self.length, self.position_ids, self.mask = max(self.length, length), position_ids, None
        if position_ids is not None:  # (B, 1, T, S), True = may attend
            slots = torch.arange(self.length, device=position_ids.device)
            self.mask = slots <= position_ids[:, None, :, None]


class LayerCache:
    """Keys and values (B, G, slots, K) of one layer. The slots double when they are full."""

    def __init__(self, whole: KVCache, keys: Tensor, values: Tensor) -> None:
        self._whole, self.keys, self.values = whole, keys, values

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Takes in the new keys and values (B, G, T, K). Returns all so far, (B, G, S, K), and the mask that rows at
        different positions need."""
        length, position_ids = self._whole.length, self._whole.position_ids
        self._grow(length)
        if position_ids is None:
            new = slice(length - k.shape[2], length)
            self.keys[:, :, new], self.values[:, :, new] = k, v
        else:
            rows = torch.arange(len(k), device=k.device).unsqueeze(1)  # (B, 1)
            self.keys[rows, :, position_ids], self.values[rows, :, position_ids] = k.transpose(1, 2), v.transpose(1, 2)
        return self.keys[:, :, :length], self.values[:, :, :length], self._whole.mask

    def _grow(self, length: int) -> None:
        slots = self.keys.shape[2]
        if length > slots:
            more = min(self._whole.capacity, max(length, 2 * slots)) - slots
            self.keys, self.values = (F.pad(held, (0, 0, 0, more)) for held in (self.keys, self.values))
