"""What an engine keeps of a text that it writes."""

from __future__ import annotations

import numpy as np

from tinylm.config.schema import ModelConfig
from tinylm.engine.micro_kernel import LANES
from tinylm.engine.records import aligned_zeros, round_up

INITIAL_CAPACITY = 512
"""Positions that a stream has room for at first; it doubles when it is full."""


class SequenceCache:
    """The keys and values of one text (layout: attention.py). `length`: positions in it."""

    def __init__(self, config: ModelConfig) -> None:
        self._config, self.length = config, 0
        self._make(min(INITIAL_CAPACITY, round_up(config.context_length, LANES)))

    def _make(self, size: int) -> None:
        heads, width = self._config.n_layers * self._config.n_kv_heads, self._config.d_head
        self.capacity = size
        self.keys = aligned_zeros((heads, size // LANES, width, LANES), np.float32)
        self.values = aligned_zeros((heads, -(-width // LANES), size, LANES), np.float32)

    def copy(self) -> SequenceCache:
        """The same text once more, to go on in another way."""
        twin, panels = SequenceCache(self._config), round_up(self.length, LANES) // LANES
        twin.ensure_capacity(self.length)
        twin.length = self.length
        twin.keys[:, :panels] = self.keys[:, :panels]
        twin.values[:, :, :self.length] = self.values[:, :, :self.length]
        return twin

    def ensure_capacity(self, length: int) -> None:
        """For so many positions in all."""
        if length > self.capacity:
            keys, values, before = self.keys, self.values, self.capacity
            self._make(max(round_up(length, LANES), 2 * before))
            self.keys[:, :before // LANES], self.values[:, :, :before] = keys, values
