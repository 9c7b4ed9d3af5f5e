"""On how many cores a call is worth its while: found out by trying, since other programs may hold some of them.

What is computed does not depend on it, not in the last digit, so it may change from call to call.
"""

from __future__ import annotations

import os
from collections import deque

MIN_WORK_PER_CORE = 200_000
"""Weights times rows of a pass that each core should have: with fewer, waiting for each other costs more than it
saves."""
MIN_WORK_PER_CALL = 10_000_000
"""The same of a whole call: for less no other core is woken."""
N_TRIALS = 2
"""The last so many calls of a kind count, and of these the quickest, since any may be interrupted. Of several cores so
many are tried at first, since the first of all waits for a thread to be made; of one core one."""
RETRIAL_INTERVAL = 32
"""Calls until the slower way is tried once more, and as many times longer as it was slower: it costs some 3%."""


def available_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ThreadTuner:
    """
    Args:
        cores: the most there are.
    """

    def __init__(self, cores: int) -> None:
        self._most, self._since = cores, 0
        self._seconds: dict[tuple[int, int], deque[float]] = {}

    def cores(self, weights: int, rows: int, passes: int) -> int:
        """For a call of so many passes of so many rows."""
        most = min(self._most, weights * rows // MIN_WORK_PER_CORE)
        if most < 2 or weights * rows * passes < MIN_WORK_PER_CALL:
            return 1
        tried = {cores: self._seconds.get(self._kind(rows, cores), ()) for cores in (most, 1)}
        seconds = {cores: min(few) if len(few) >= min(N_TRIALS, cores) else 0.0 for cores, few in tried.items()}
        better, worse = sorted(seconds, key=lambda cores: seconds[cores])
        self._since += 1
        if seconds[better] and self._since * seconds[better] > RETRIAL_INTERVAL * seconds[worse]:
            self._since = 0
            return worse
        return better

    def record(self, cores: int, rows: int, passes: int, seconds: float) -> None:
        """What came of it."""
        if passes > 0:
            few = self._seconds.setdefault(self._kind(rows, cores), deque(maxlen=N_TRIALS))
            few.append(seconds / (rows * passes))

    def _kind(self, rows: int, cores: int) -> tuple[int, int]:
        """Calls of about as many rows take about as long for each."""
        return rows.bit_length(), cores
