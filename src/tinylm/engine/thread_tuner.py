"""The thread tuner: tries out on how many cores a call is quickest, since other programs may hold some of them.

The number of cores changes no digit of a result, so it may change from call to call.
"""

from __future__ import annotations

import os
from collections import deque

MIN_WORK_PER_CORE = 200_000
"""Weights times rows of a pass for each core: with fewer, waiting at barriers costs more than another core saves."""
MIN_WORK_PER_CALL = 10_000_000
"""Weights times rows times passes of a call: for less no other core is woken."""
N_TRIALS = 2
"""Timings that are remembered for a kind of call. The quickest of them counts, since any call may be interrupted.
Several cores are tried so often at first, since the first call of all waits for a thread to be made; one core once."""
RETRIAL_INTERVAL = 32
"""Calls until the slower number of cores is tried again, times how much slower it was: trying costs some 3%."""


def available_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ThreadTuner:
    """Chooses between one core and as many as the work is enough for, by timings of earlier calls.

    Args:
        cores: the most there are.
    """

    def __init__(self, cores: int) -> None:
        self._most, self._since_trial = cores, 0
        self._seconds: dict[tuple[int, int], deque[float]] = {}

    def cores(self, weights: int, rows: int, passes: int) -> int:
        """The number of cores for a call.

        Args:
            weights: in the matrices of the model.
            rows: of a pass.
            passes: of the call.
        """
        most = min(self._most, weights * rows // MIN_WORK_PER_CORE)
        if most < 2 or weights * rows * passes < MIN_WORK_PER_CALL:
            return 1
        timings = {cores: self._seconds.get(self._kind(rows, cores), ()) for cores in (most, 1)}
        seconds = {cores: min(known) if len(known) >= min(N_TRIALS, cores) else 0.0
                   for cores, known in timings.items()}
        better, worse = sorted(seconds, key=lambda cores: seconds[cores])
        self._since_trial += 1
        if seconds[better] and self._since_trial * seconds[better] > RETRIAL_INTERVAL * seconds[worse]:
            self._since_trial = 0
            return worse
        return better

    def record(self, cores: int, rows: int, passes: int, seconds: float) -> None:
        """Notes how long a call took."""
        if passes > 0:
            known = self._seconds.setdefault(self._kind(rows, cores), deque(maxlen=N_TRIALS))
            known.append(seconds / (rows * passes))

    def _kind(self, rows: int, cores: int) -> tuple[int, int]:
        """The kind of a call: calls of one kind take about as long for each row."""
        return rows.bit_length(), cores
