"""The cost of a training step in which each core sums up gradients in a buffer of its own: the seconds in which buffers
are zeroed and added up, on so many simulated workers. Each of them does its part alone, one after another, and the
slowest counts, so the figure is that of a machine whose memory is quick enough for all of them at once. The peer is one
thread that zeroes and adds all buffers, as tinylm did before; it needs no simulation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Run, add_pairs, in_pairs, outcome, seconds_of, tell

if TYPE_CHECKING:
    from torch import Tensor

SIZES = {"0.8M": 800_000, "10M": 10_000_000, "125M": 125_000_000}
REPEATS = 3
"""Times that a part is done; the quickest counts, for other programs only add to it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    parser.add_argument("--size", choices=SIZES, default="10M", help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=16, metavar="N", help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    import torch

    torch.set_num_threads(1)
    sums = [torch.ones(SIZES[arguments.size]) for _ in range(arguments.workers)]
    pairs = in_pairs(arguments.pairs, lambda _: {"value": one_thread(sums)}, lambda _: simulated(sums))
    return tell(outcome("gradient-sums", pairs, unit="s", size=arguments.size, workers=arguments.workers,
                        peer="one thread that zeroes and adds all buffers"))


def one_thread(sums: list[Tensor]) -> float:
    def work() -> None:
        for each in sums:
            each.zero_()
        for each in sums[1:]:
            sums[0].add_(each)

    return quickest(work)


def simulated(sums: list[Tensor]) -> Run:
    """The slowest worker's seconds, of either part."""
    from tinylm.jit.thread_pool import ThreadPool
    from tinylm.training.shards import add_up, pairwise

    class OneByOne(ThreadPool):
        """Workers that take turns, each timed alone."""

        def __init__(self, cores: int) -> None:
            super().__init__(1)
            self.cores, self.slowest = cores, 0.0

        def map(self, work: Callable[[int], Any], cores: int | None = None) -> list[Any]:
            self.slowest = max(quickest(lambda worker=worker: work(worker)) for worker in range(cores or self.cores))
            return []

    pool = OneByOne(len(sums))
    pool.map(lambda worker: sums[worker].zero_())
    zeroing = pool.slowest
    add_up(sums, pairwise([(i, i + 1) for i in range(len(sums))], len(sums))[0], pool)
    return {"value": zeroing + pool.slowest, "zeroing": zeroing, "adding": pool.slowest}


def quickest(work: Callable[[], object]) -> float:
    return min(seconds_of(work) for _ in range(REPEATS))
