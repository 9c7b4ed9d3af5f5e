"""Replay: rows of an earlier text among those of the text that is trained on, against forgetting the earlier one.

Mixing in old examples is the oldest remedy for catastrophic forgetting (Robins 1995, "Catastrophic Forgetting,
Rehearsal and Pseudorehearsal"). As those of one text, the rows of a batch are a pure function of (seed, step).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinylm.text.rows import Batch, Rows


class ReplayRows:
    """Rows of two texts, the share of the earlier one the same in every stretch of a run, to the row.

    Args:
        own: the rows of the text that is trained on; an epoch is once through them, as without replay.
        earlier: the rows of the earlier text.
        share: of the earlier text's rows among all, from 0 and below 1.
        padding: the ids that fill up a row's inputs and its targets.

    >>> from tinylm.text.dataset import Part
    >>> own, earlier = (Rows(Part(np.full(9, id), np.array([0, 9]), n_bytes=9), packing="windows", context_length=1)
    ...                 for id in (5, 7))
    >>> rows = ReplayRows(own, earlier, share=0.25, padding=(0, -100))
    >>> [rows.batch(step, batch_size=2)[1].ravel().tolist() for step in range(2)]
    [[5, 5], [7, 5]]
    """

    def __init__(self, own: Rows, earlier: Rows, share: float, padding: tuple[int, int]) -> None:
        self._own, self._earlier, self._share, self._padding = own, earlier, share, padding
        self.rows_per_epoch = round(own.rows_per_epoch / (1 - share))

    def batch(self, step: int, batch_size: int) -> Batch:
        """The batch of a step: as `Rows.batch`, the rows of the earlier text first."""
        first, stop = step * batch_size, (step + 1) * batch_size
        before, after = int(first * self._share), int(stop * self._share)
        parts = [rows.rows(start, end) for rows, start, end in (
            (self._earlier, before, after), (self._own, first - before, stop - after)) if end > start]
        width = max(inputs.shape[1] for inputs, _ in parts)
        inputs, targets = (np.concatenate([_padded(part[i], width, self._padding[i]) for part in parts])
                           for i in (0, 1))
        return inputs, targets


def _padded(rows: NDArray[np.int64], width: int, id: int) -> NDArray[np.int64]:
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=id)
