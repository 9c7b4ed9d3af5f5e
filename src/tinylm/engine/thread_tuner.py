"""The thread tuner: tries out on how many cores a call is quickest, since other programs may hold some of them, and
some may be slower than others.

The number of cores changes no digit of a result, so it may change from call to call.
"""

from __future__ import annotations

from collections import Counter, deque

MIN_WORK_PER_CORE = 200_000
"""Weights times rows of a pass for each core: with fewer, waiting at barriers costs more than another core saves."""
MIN_WORK_PER_CALL = 10_000_000
"""Weights times rows times passes of a call: for less no other core is woken."""
N_TRIALS = 2
"""Timings that are remembered for a kind of call. The quickest of them counts, since any call may be interrupted.
Several cores are tried so often at first, since the first call of all waits for a thread to be made; one core once."""
RETRIAL_INTERVAL = 32
"""Calls until a slower number of cores is tried again, times how much slower it was: trying costs some 3%."""


class ThreadTuner:
    """Chooses between all cores that the work is enough for, the fast ones, half of all, and one, by timings of earlier
    calls. Shares of the work are equal, so beside slow cores, and beside another program, fewer can be quicker.

    Args:
        cores: the most there are.
        fast_cores: how many of them are as fast as the fastest; None: all.

    >>> tuner = ThreadTuner(8)
    >>> tuner.cores(1_000_000, 1, 20)  # enough work for 5 cores
    5
    >>> for cores, seconds in ((5, 3.0), (5, 3.0), (2, 1.0), (2, 1.0), (1, 2.0)):
    ...     tuner.record(cores, 1, 20, seconds)
    >>> tuner.cores(1_000_000, 1, 20)
    2
    """

    def __init__(self, cores: int, fast_cores: int | None = None) -> None:
        self._most, self._fast = cores, fast_cores or cores
        self._seconds: dict[tuple[int, int], deque[float]] = {}
        self._since_trial = Counter[int]()

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
        seconds = {cores: self._known_seconds(rows, cores)
                   for cores in sorted({most, min(most, self._fast), most // 2, 1}, reverse=True)}
        best, *others = sorted(seconds, key=lambda cores: seconds[cores])
        self._since_trial.update(list(seconds))
        for cores in others if seconds[best] else ():
            if self._since_trial[cores] * seconds[best] > RETRIAL_INTERVAL * seconds[cores]:
                best = cores
                break
        self._since_trial[best] = 0
        return best

    def _known_seconds(self, rows: int, cores: int) -> float:
        """Seconds of a row of a pass on so many cores; 0 until so many were tried often enough."""
        known = self._seconds.get(self._kind(rows, cores), ())
        return min(known) if len(known) >= min(N_TRIALS, cores) else 0.0

    def record(self, cores: int, rows: int, passes: int, seconds: float) -> None:
        """Notes how long a call took."""
        if passes > 0:
            known = self._seconds.setdefault(self._kind(rows, cores), deque(maxlen=N_TRIALS))
            known.append(seconds / (rows * passes))

    def _kind(self, rows: int, cores: int) -> tuple[int, int]:
        """The kind of a call: calls of one kind take about as long for each row."""
        return rows.bit_length(), cores
