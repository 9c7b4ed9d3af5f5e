"""Rows of ids, the batches that they make up, and their inputs and targets.

The rule of a row, the same in training, evaluation and prompts: a span of ids [lo, hi) has the inputs
`<bos>` + ids[lo:hi-1] and the targets ids[lo:hi] (without `<bos>` in the vocabulary: `<eos>`). So every token is a
target exactly once an epoch, and no row depends on another. The rows of a batch are a pure function of (seed, step):
there is no position to save or to lose.

    B rows of a batch, T tokens of a row
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tinylm.system.memory import release_pages
from tinylm.text.dataset import Part
from tinylm.text.turns import whole_turns

Packing = Literal["windows", "packed", "padded"]
Batch = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Inputs and targets, (B, T) each."""

IGNORE = -100
"""The target of padding, and of what is read and not learned, which torch's cross-entropy leaves out."""

RELEASE_AFTER_ROWS = 64
"""Rows after which pages of the text are released. Each row brings some 64 KB into memory: the system reads so much at
once."""


class Rows:
    """The rows of one part, and the batches that training reads.

    Packings: "windows": the text as one stream in spans of `context_length`, which begin elsewhere in each epoch;
    "packed": whole documents, as many to a row as fit; "padded": one document a row, and the batch as wide as its
    longest. A document that is longer than `context_length` is cut in spans; a conversation, where a turn ends
    (`whole_turns`). The targets of a conversation are what the assistant says; all others are `IGNORE`.

    Args:
        part: ids, documents, and the special tokens of their vocabulary.
        packing: "windows", "packed" or "padded".
        context_length: T, the largest number of tokens in a row.
        seed: decides the order of the rows and, for windows, where they begin.
        target_padding: the target where a row is padded; default: ignored. The id of `<pad>` counts padding in the
            loss, as the notebook does.

    >>> part = Part(np.array([5, 6, 7, 2]), np.array([0, 4]), n_bytes=3)
    >>> Rows(part, packing="padded", context_length=8).batch(step=0, batch_size=1)
    (array([[1, 5, 6, 7]]), array([[5, 6, 7, 2]]))
    """

    def __init__(self, part: Part, *, packing: Packing, context_length: int, seed: int = 0,
                 target_padding: int = IGNORE) -> None:
        part = whole_turns(part, context_length)
        self._ids, self._is_target = part.ids, part.is_target
        self._packing, self._width, self._seed = packing, context_length, seed
        self._rows_read = 0
        self._start_id, self._pad_id, self._target_padding = part.specials.start, part.specials.pad, target_padding
        self._epoch = functools.lru_cache(maxsize=2)(self._shuffled)
        if packing == "windows":
            self.rows_per_epoch = -(-(part.n_tokens - 1) // context_length) + 1
            return
        self._span_starts, stops = _spans(part.offsets, context_length)
        firsts = _packed(self._span_starts, stops, context_length) if packing == "packed" else slice(None)
        self._row_starts = self._span_starts[firsts]
        self._row_stops = np.append(self._row_starts[1:], part.n_tokens)
        self.rows_per_epoch = len(self._row_starts)

    def batch(self, step: int, batch_size: int) -> Batch:
        """The batch of a step: rows step * B to (step + 1) * B of the endless sequence of epochs. The batch depends on
        nothing that was asked before.

        Returns:
            inputs and targets, (B, T) int64; a "padded" batch is as wide as its longest row.
        """
        return self.rows(step * batch_size, (step + 1) * batch_size)

    def rows(self, first: int, stop: int) -> Batch:
        """The rows `first` to `stop` of the endless sequence of epochs, at least one. Returns: as `batch`."""
        starts: list[NDArray[np.int64]] = []
        stops: list[NDArray[np.int64]] = []
        while first < stop:
            epoch, position = divmod(first, self.rows_per_epoch)
            count = min(stop - first, self.rows_per_epoch - position)
            order, offset = self._epoch(epoch)
            chosen = np.sort(order[position:position + count])  # a full batch keeps the order of the text
            for bounds, found in zip((starts, stops), self._bounds(chosen, offset), strict=True):
                bounds.append(found)
            first += count
        return self._build(np.concatenate(starts), np.concatenate(stops))

    def evaluation(self, batch_size: int) -> Iterator[Batch]:
        """Yields all rows once, in order, in batches of at most `batch_size`; documents one a row, short ones first."""
        if self._packing == "windows":
            starts = np.arange(0, len(self._ids), self._width)
            stops = np.minimum(starts + self._width, len(self._ids))
        else:
            starts = self._span_starts
            stops = np.append(starts[1:], len(self._ids))
            by_length = np.argsort(stops - starts, kind="stable")
            starts, stops = starts[by_length], stops[by_length]
        for first in range(0, len(starts), batch_size):
            yield self._build(starts[first:first + batch_size], stops[first:first + batch_size])

    def _shuffled(self, epoch: int) -> tuple[NDArray[np.int64], int]:
        """The order of the rows in an epoch, and the position at which its first window ends."""
        random = np.random.default_rng([self._seed, epoch])
        order = random.permutation(self.rows_per_epoch)
        return order, int(random.integers(1, self._width + 1))

    def _bounds(self, rows: NDArray[np.int64], offset: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if self._packing != "windows":
            return self._row_starts[rows], self._row_stops[rows]
        stops = offset + rows * self._width
        starts = np.maximum(stops - self._width, 0)
        return np.minimum(starts, len(self._ids)), np.minimum(stops, len(self._ids))

    def _build(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Batch:
        """Makes inputs and targets of the rows [start, stop), with the start token before every span."""
        self._rows_read += len(starts)
        if self._rows_read > RELEASE_AFTER_ROWS:
            release_pages(self._ids)
            self._rows_read = 0
        lengths = stops - starts
        width = int(lengths.max()) if self._packing == "padded" else self._width
        columns = np.arange(width)
        positions = np.minimum(starts[:, None] + columns, len(self._ids) - 1)
        targets = self._ids[positions].astype(np.int64)
        inputs = np.empty_like(targets)
        inputs[:, 0], inputs[:, 1:] = self._start_id, targets[:, :-1]
        if self._packing == "packed":
            inputs[self._starts_span(positions)] = self._start_id
        padding = columns >= lengths[:, None]
        if self._is_target is not None:
            targets[~self._is_target[positions]] = IGNORE
        inputs[padding], targets[padding] = self._pad_id, self._target_padding
        return inputs, targets

    def _starts_span(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = np.searchsorted(self._span_starts, positions, side="right") - 1
        starts: NDArray[np.bool_] = self._span_starts[found] == positions
        return starts


def _spans(offsets: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The starts and stops of spans: documents, those longer than `most` tokens cut in spans of `most`."""
    lengths = np.diff(offsets)
    counts = -(-lengths // most)
    first = np.repeat(np.cumsum(counts) - counts, counts)  # the number of each span's document's first span
    starts = np.repeat(offsets[:-1], counts) + (np.arange(len(first)) - first) * most
    return starts, np.append(starts[1:], offsets[-1])


def _packed(starts: NDArray[np.int64], stops: NDArray[np.int64], most: int) -> list[int]:
    """The first span of each row, where a row takes the next spans as long as they fit in `most` tokens. The spans stay
    in the order of the text, so that a row is one stretch of ids and every epoch has the same number of rows."""
    following = np.searchsorted(stops, starts + most, side="right")
    firsts, span = [], 0
    while span < len(starts):
        firsts.append(span)
        span = int(following[span])
    return firsts
