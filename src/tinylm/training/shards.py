"""Shards: the parts of a step whose gradients are summed in one order, whichever thread or process computed them.

Floating-point sums depend on their order. So a step is cut into a number of shards that does not depend on the machine;
each is computed by one thread, and their gradients are added in pairs, the pairs in pairs, and so on (pairwise
summation):

    ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))

Whoever has shards 0 to 3 adds them up alone and sends one sum, so that any number of ranks gives the same bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinylm.jit.thread_pool import ThreadPool, cut
from tinylm.training.world import ALONE, World

BLOCK_NUMBERS = 1 << 18
"""Numbers of a sum of gradients that one core adds up at once: they stay in its cache while one buffer after another is
added to them."""
MIN_NUMBERS_PER_CORE = 1 << 20
"""Additions for each core: for fewer it takes longer to wake another one."""
Span = tuple[int, int]
"""Shards that follow each other: the first, and the one after the last."""


@dataclass(frozen=True)
class Shards:
    """The shards of one step, and their distribution among the ranks: each has some that follow each other.

    >>> Shards(8).own, Shards(8).rows(32)[:2]
    (range(0, 8), [slice(0, 4, None), slice(4, 8, None)])
    """

    count: int
    world: World = ALONE

    @property
    def own(self) -> range:
        """The shards that this rank computes."""
        return self._of(self.world.rank)

    def rows(self, count: int) -> list[slice]:
        """The rows of each shard, for a batch of so many."""
        return cut(count, self.count)

    def sum_up(self, own: Sequence[Tensor], received: Callable[[int], Tensor], pool: ThreadPool) -> Tensor:
        """Adds up the gradients of all shards, in place.

        Args:
            own: 1-D, of one length: the gradients of the shards of this rank.
            received: gives memory for the n-th sum, from 0, that another rank sends.

        Returns:
            the sum, one of the tensors given.
        """
        pairs, left = pairwise(_each(self.own), self.count)
        add_up(own, pairs, pool)
        if self.world.size == 1:
            return own[0]
        mine, spans, pieces = [own[index] for index, _ in left], list[Span](), list[tuple[int, Tensor]]()
        numbers = itertools.count()
        for rank in range(self.world.size):
            for n, (_, span) in enumerate(pairwise(_each(self._of(rank)), self.count)[1]):
                spans.append(span)
                pieces.append((rank, mine[n] if rank == self.world.rank else received(next(numbers))))
        self.world.fill(pieces)
        sums = [tensor for _, tensor in pieces]
        add_up(sums, pairwise(spans, self.count)[0], pool)
        return sums[0]

    def gather(self, own: Sequence[Sequence[float]], width: int) -> list[list[float]]:
        """The numbers of all shards, in order.

        Args:
            own: by shard of this rank, so many (`width`) for each.
        """
        numbers = [number for shard in own for number in shard]
        most = max(len(self._of(rank)) for rank in range(self.world.size))
        rows = self.world.gather(numbers + [0.0] * (most * width - len(numbers)))
        return [row[width * i:width * (i + 1)] for rank, row in enumerate(rows) for i in range(len(self._of(rank)))]

    def _of(self, rank: int) -> range:
        part = cut(self.count, self.world.size)[rank]
        return range(part.start, part.stop)


def pairwise(spans: Iterable[Span], count: int) -> tuple[list[tuple[int, int]], list[tuple[int, Span]]]:
    """The additions that can be made among sums over spans of shards, in order.

    Args:
        spans: in order, each a power of two of shards that begins at a multiple of it, or the end of all shards.
        count: of all shards.

    Returns:
        pairs (i, j): sum j is added to sum i; and what is left then: indices, each with the span that it holds.

    >>> pairwise([(0, 1), (1, 2), (2, 3)], 3)
    ([(0, 1), (0, 2)], [(0, (0, 3))])
    >>> pairwise([(2, 3), (3, 4), (4, 5)], 8)
    ([(0, 1)], [(0, (2, 4)), (2, (4, 5))])
    """
    pairs, left = list[tuple[int, int]](), list[tuple[int, Span]]()
    for index, span in enumerate(spans):
        left.append((index, span))
        while len(left) > 1 and _is_pair(left[-2][1], left[-1][1], count):
            (one, (first, _)), (other, (_, stop)) = left[-2:]
            pairs.append((one, other))
            left[-2:] = [(one, (first, stop))]
    return pairs, left


def _is_pair(one: Span, other: Span, count: int) -> bool:
    first, size = one[0], one[1] - one[0]
    return first % (2 * size) == 0 and size & (size - 1) == 0 and other == (first + size, min(first + 2 * size, count))


def _each(shards: range) -> list[Span]:
    return [(shard, shard + 1) for shard in shards]


def add_up(sums: Sequence[Tensor], pairs: Sequence[tuple[int, int]], pool: ThreadPool) -> None:
    """Adds sum j to sum i for each pair (i, j), in order: every core a slice of all sums, one block after another.

    Args:
        sums: 1-D, of one length.

    >>> import torch
    >>> sums = [torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]), torch.tensor([100.0, 200.0])]
    >>> add_up(sums, [(0, 1), (0, 2)], ThreadPool(2))
    >>> sums[0]
    tensor([111., 222.])
    """
    if not pairs:
        return
    length = len(sums[0])
    shares = pool.slices(length, min(pool.cores, 1 + length * len(pairs) // MIN_NUMBERS_PER_CORE))

    def add(core: int) -> None:
        for first in range(shares[core].start, shares[core].stop, BLOCK_NUMBERS):
            block = slice(first, min(first + BLOCK_NUMBERS, shares[core].stop))
            for i, j in pairs:
                sums[i][block].add_(sums[j][block])

    pool.map(add, len(shares))


def add_batches(nats: Sequence[Sequence[float]]) -> Tensor:
    """The summed loss of a step (), from that of each shard in each batch: first each batch, in the shards' order."""
    return torch.tensor([sum(batch) for batch in zip(*nats, strict=True)], dtype=torch.float64).sum()
