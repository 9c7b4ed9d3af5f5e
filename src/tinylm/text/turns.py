"""Conversations that are longer than a row of ids: cut where a turn ends, so that no question loses its answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.text.dataset import Part


class TooLong(NamedTuple):
    """Counts of what does not fit into a row.

    Attributes:
        conversations: those that are cut between two turns.
        exchanges: questions with their answers that do not fit by themselves, and are left out.
    """

    conversations: int = 0
    exchanges: int = 0


NONE_TOO_LONG = TooLong()


def whole_turns(part: Part, most: int) -> Part:
    """The conversations of a part in stretches of at most `most` tokens, each of whole exchanges: a question with its
    answer. An exchange that is longer by itself is left out. A part that has no conversations, or whose conversations
    all fit, stays as it is.

    >>> targets = np.array([False, True, True, False, True, False, False, False, True])
    >>> part = Part(np.arange(9), np.array([0, 5, 9]), n_bytes=4, is_target=targets)
    >>> [whole_turns(part, 3).ids.tolist(), whole_turns(part, 3).offsets.tolist()]
    [[0, 1, 2, 3, 4], [0, 3, 5]]
    """
    if part.is_target is None or not len(part.ids) or int(np.diff(part.offsets).max()) <= most:
        return part
    stretches = [stretch for first, stop in _documents(part) for stretch in _stretches(part, first, stop, most)]
    kept = np.concatenate([np.arange(first, stop) for first, stop in stretches] or [np.zeros(0, np.int64)])
    is_target = part.is_target[kept]
    n_bytes = round(part.n_bytes * int(np.count_nonzero(is_target)) / max(1, part.n_targets))
    offsets = np.cumsum([0, *(stop - first for first, stop in stretches)], dtype=np.int64)
    return part._replace(ids=part.ids[kept], offsets=offsets, n_bytes=n_bytes, is_target=is_target)


def too_long(part: Part, most: int) -> TooLong:
    """Counts what `whole_turns` cuts and leaves out."""
    if part.is_target is None:
        return NONE_TOO_LONG
    conversations = exchanges = 0
    for first, stop in _documents(part):
        if stop - first > most:
            lengths = [end - begin for begin, end in _exchanges(part.is_target, first, stop)]
            conversations += len(lengths) > 1
            exchanges += sum(length > most for length in lengths)
    return TooLong(conversations, exchanges)


def longest_conversation(*parts: Part | None) -> int:
    """Tokens of the longest conversation; 0 where there are none."""
    return max((int(np.diff(part.offsets).max(initial=0)) for part in parts if part and part.is_target is not None),
               default=0)


def _documents(part: Part) -> Iterator[tuple[int, int]]:
    yield from zip(part.offsets[:-1].tolist(), part.offsets[1:].tolist(), strict=True)


def _exchanges(is_target: NDArray[np.bool_], first: int, stop: int) -> list[tuple[int, int]]:
    """The questions of a conversation, each with its answer: from the end of an answer to that of the next."""
    mask = np.asarray(is_target[first:stop])
    begins = np.flatnonzero(mask[:-1] & ~mask[1:]) + 1 + first
    edges = [first, *begins.tolist(), stop]
    return list(pairwise(edges))


def _stretches(part: Part, first: int, stop: int, most: int) -> Iterator[tuple[int, int]]:
    """Yields stretches of exchanges that follow each other, as many to one as fit."""
    assert part.is_target is not None
    begin = end = first
    for start, finish in _exchanges(part.is_target, first, stop):
        if finish - begin > most or start != end:
            if end > begin:
                yield begin, end
            begin = start
        if finish - start > most:
            begin = end = finish
        else:
            end = finish
    if end > begin:
        yield begin, end
