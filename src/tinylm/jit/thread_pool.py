"""A pool of threads, one a core, each of which computes its share alone.

Nothing waits inside a product, and the share of a thread does not depend on how quick the thread is, so sums are the
same every time.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")


class ThreadPool:
    """`cores` threads, the first of which is the caller's. Torch, where they use it, must be set to one thread.

    Args:
        cores: as above.
        initializer: is called once in each thread that the pool makes: what the caller has set for its own thread alone
            (the handling of denormal numbers), and what threads inherit on some systems only.

    >>> ThreadPool(2).map(lambda worker: 10 * worker)
    [0, 10]
    >>> ThreadPool(2).slices(5)
    [slice(0, 2, None), slice(2, 5, None)]
    """

    def __init__(self, cores: int = 1, initializer: Callable[[], object] | None = None) -> None:
        self.cores = cores
        self._executor = ThreadPoolExecutor(cores - 1, "tinylm", initializer) if cores > 1 else None

    def map(self, work: Callable[[int], Result], cores: int | None = None) -> list[Result]:
        """Computes work(0), work(1), ... at the same time and returns their results in this order.

        Args:
            cores: the number of threads that take part; None: all.
        """
        others = [self._executor.submit(work, i) for i in range(1, cores or self.cores)] if self._executor else []
        return [work(0), *(other.result() for other in others)]

    def slices(self, count: int, cores: int | None = None) -> list[slice]:
        """`count` things cut into `cores` nearly equal parts; None: one for each thread."""
        return cut(count, cores or self.cores)


def cut(count: int, parts: int) -> list[slice]:
    """Slices of nearly equal length of so many things; some are empty where there are fewer things than parts.

    >>> cut(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    borders = np.linspace(0, count, parts + 1).astype(int).tolist()
    return [slice(first, last) for first, last in pairwise(borders)]
