"""The barrier: what each worker wrote before it, every other worker reads after it."""

from __future__ import annotations

import platform
import re
from typing import Any

import numpy as np
import pytest
from numba import njit

from tinylm.engine.barrier import LINE_NUMBERS, barrier_wait, sched_yield
from tinylm.engine.records import WORK
from tinylm.jit.arrays import address_of, aligned_zeros
from tinylm.jit.thread_pool import ThreadPool

IS_ARM = platform.machine() in ("aarch64", "arm64")


@njit(nogil=True)
def meet(works: Any, worker: Any, meetings: Any, written: Any) -> Any:
    """Writes the number of each meeting before its barrier. Returns how many numbers of others were not there after it.

    Args:
        written: (2, workers). A meeting writes one row while slower workers may still read that of the meeting before.
    """
    work, phase, missing = works[0], 0, 0
    for meeting in range(1, meetings + 1):
        row = written[meeting % 2]
        row[worker] = meeting
        phase = barrier_wait(work, worker, phase)
        for other in range(work.workers):
            missing += row[other] != meeting
    return missing


def missing_after(workers: int, meetings: int) -> list[int]:
    works, arrivals = np.zeros(1, WORK), aligned_zeros((workers, LINE_NUMBERS), np.int64)
    works["workers"], works["arrivals"], works["sched_yield"] = workers, address_of(arrivals), sched_yield()
    written = np.zeros((2, workers), np.int64)
    missing = ThreadPool(workers).map(lambda worker: meet(works, worker, meetings, written))
    assert arrivals[:, 0].tolist() == [meetings if workers > 1 else 0] * workers
    return missing


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_what_was_written_before_the_barrier_is_read_after_it(workers: int) -> None:
    assert missing_after(workers, 3_000) == [0] * workers


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3, 4])
def test_nothing_is_missing_in_a_hundred_thousand_meetings(workers: int) -> None:
    assert missing_after(workers, 100_000) == [0] * workers


@pytest.mark.skipif(not IS_ARM, reason="other processors need no instruction of their own for it")
def test_the_order_of_memory_is_asked_of_an_arm_processor() -> None:
    """ARM's memory is weakly ordered: a plain store may be seen before those that precede it."""
    missing_after(1, 1)
    code = "\n".join(meet.inspect_asm().values())
    assert re.search(r"\bstlr\b", code)
    assert re.search(r"\blda(p)?r\b", code)
