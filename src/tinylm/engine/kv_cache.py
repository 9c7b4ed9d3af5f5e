"""The key/value cache of one sequence, in the panels that the micro-kernel reads."""

from __future__ import annotations

import numpy as np

from tinylm.config.schema import ModelConfig
from tinylm.jit.arrays import aligned_zeros, round_up
from tinylm.jit.llvm import LANES

INITIAL_CAPACITY = 512
"""Positions for which a cache has memory at first."""


def grown(capacity: int, length: int) -> int:
    """The capacity that follows when `length` exceeds one: twice as much at least, so that growing stays cheap."""
    return max(round_up(length, LANES), 2 * capacity)


class SequenceCache:
    """The keys and values of one sequence, in all layers and key/value heads.

    Attributes:
        length: positions in it. Fewer may be set, to go on from an earlier position.
        capacity: positions that it has memory for, a multiple of 16; grows as needed.
        keys: (layers * G, capacity/16, K, 16) float32: 16 positions side by side.
        values: (layers * G, ceil(K/16), capacity, 16) float32: 16 numbers of a head side by side.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._config, self.length = config, 0
        self._allocate(min(INITIAL_CAPACITY, round_up(config.context_length, LANES)))

    def _allocate(self, capacity: int) -> None:
        heads, width = self._config.n_layers * self._config.n_kv_heads, self._config.d_head
        self.capacity = capacity
        self.keys = aligned_zeros((heads, capacity // LANES, width, LANES), np.float32)
        self.values = aligned_zeros((heads, round_up(width, LANES) // LANES, capacity, LANES), np.float32)

    @property
    def n_bytes(self) -> int:
        """The memory of the cache in bytes."""
        return int(self.keys.nbytes + self.values.nbytes)

    def copy(self, length: int | None = None) -> SequenceCache:
        """A second cache of the same sequence, or of its first `length` positions, which can go on in another way."""
        length = self.length if length is None else length
        twin, panels = SequenceCache(self._config), round_up(length, LANES) // LANES
        twin.reserve(length)
        twin.length = length
        twin.keys[:, :panels] = self.keys[:, :panels]
        twin.values[:, :, :length] = self.values[:, :, :length]
        return twin

    def reserve(self, length: int) -> None:
        """Grows until there is memory for `length` positions."""
        if length > self.capacity:
            keys, values, before = self.keys, self.values, self.capacity
            self._allocate(grown(before, length))
            self.keys[:, :before // LANES], self.values[:, :, :before] = keys, values
