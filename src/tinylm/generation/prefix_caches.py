"""Key/value caches of generated texts, kept for texts that begin in the same way: a conversation that goes on is not
read anew, nor is a long prompt that many texts share."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

from tinylm.engine.kv_cache import SequenceCache

MIN_SHARED = 16
"""Ids that two texts share at least: fewer are read as quickly as they are copied."""
MAX_KEPT, MAX_BYTES = 32, 128 << 20
"""Caches that are kept, and their bytes, at most."""


class _Kept(NamedTuple):
    """A cache, and the ids that it holds."""

    ids: list[int]
    cache: SequenceCache


class PrefixCaches:
    """The caches of the last texts of one engine, whose numbers do not depend on how a text was read."""

    def __init__(self) -> None:
        self._kept: list[_Kept] = []  # the oldest first
        self._lock = Lock()

    def keep(self, ids: Sequence[int], cache: SequenceCache) -> None:
        """Keeps the cache of a text that has ended, and lets go of the oldest ones beyond the bounds.

        Args:
            ids: those of the text that its model saw; the cache may hold fewer.
        """
        cache.length = min(cache.length, len(ids))
        if cache.length < MIN_SHARED or cache.n_bytes > MAX_BYTES:
            return
        with self._lock:
            self._kept.append(_Kept([*ids[:cache.length]], cache))
            while len(self._kept) > MAX_KEPT or sum(each.cache.n_bytes for each in self._kept) > MAX_BYTES:
                del self._kept[0]

    def find(self, ids: Sequence[int]) -> SequenceCache | None:
        """A cache that holds the beginning of a text, but not its last id, whose logits are wanted; None: no text that
        began in this way was kept. A text that goes on takes the cache over; one that parts from it gets a copy."""
        wanted = [*ids[:-1]]
        with self._lock:
            found = [(_shared(each.ids, wanted), number) for number, each in enumerate(self._kept)]
            shared, number = max(found, default=(0, 0))
            if shared < MIN_SHARED:
                return None
            kept = self._kept[number]
            if shared == len(kept.ids):
                del self._kept[number]
                return kept.cache
            return kept.cache.copy(shared)


def _shared(one: list[int], other: list[int]) -> int:
    """The number of ids with which both begin.

    >>> _shared([1, 2, 3, 4], [1, 2, 4])
    2
    """
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
                min(len(one), len(other)))
