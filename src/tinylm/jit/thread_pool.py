"""Threads of our own, one a core. Each computes its share with torch on that core alone: nothing waits inside a
product, and the share of a thread does not depend on how quick it is, so the sums are the same every time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")


class ThreadPool:
    """`cores` threads, of which the caller's is the first. Torch, where they use it, must be set to one thread."""

    def __init__(self, cores: int = 1) -> None:
        self.cores = cores
        self._executor = ThreadPoolExecutor(cores - 1, "tinylm") if cores > 1 else None

    def map(self, work: Callable[[int], Result], cores: int | None = None) -> list[Result]:
        """work(0), work(1), ... at the same time; the results in this order.

        Args:
            cores: so many of them, if not all.
        """
        others = [self._executor.submit(work, i) for i in range(1, cores or self.cores)] if self._executor else []
        return [work(0), *(other.result() for other in others)]

    def slices(self, count: int) -> list[slice]:
        """`count` things in `cores` nearly equal parts."""
        borders = np.linspace(0, count, self.cores + 1).astype(int).tolist()
        return [slice(first, last) for first, last in pairwise(borders)]
