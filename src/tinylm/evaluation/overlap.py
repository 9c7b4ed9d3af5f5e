"""Fitness of a validation text: the share of it that the training text contains already, and the share that is unknown
to the tokenizer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinylm.evaluation.rolling_hash import HashSet, Numbers, chunks, hash_rows

STRETCH_BYTES = 64
"""Shorter stretches occur twice in most texts."""
MIN_STRETCH_TOKENS = 8
"""Of long tokens, so many make a stretch even if they are fewer bytes than they look on average."""
MAX_WINDOWS = 1 << 13
"""Of a longer validation text so many windows are looked for, evenly spaced."""


def stretch_tokens(n_tokens: int, n_bytes: int) -> int:
    """Number of tokens that have some 64 bytes, in a text of `n_tokens` and `n_bytes`.

    >>> stretch_tokens(n_tokens=1000, n_bytes=4000)
    16
    """
    return max(MIN_STRETCH_TOKENS, round(STRETCH_BYTES * n_tokens / max(1, n_bytes)))


def repeated_share(train_ids: Numbers, validation_ids: Numbers, width: int) -> float:
    """The share of the validation positions that lie in a window of `width` ids which stands in the training ids, too.

    Linear in both: about a second for 100 million ids. Of more than 8,192 windows that many are looked for, and the
    share is that of the positions in these. Each hit is compared with the ids themselves.
    """
    n_windows = len(validation_ids) - width + 1
    if n_windows < 1:
        return 0.0
    starts = np.arange(0, n_windows, -(-n_windows // MAX_WINDOWS))
    windows = np.asarray(validation_ids)[starts[:, None] + np.arange(width)]
    repeated = starts[_stand_in(train_ids, windows)]
    return _covered(repeated, width, len(validation_ids)) / _covered(starts, width, len(validation_ids))


def _stand_in(ids: Numbers, windows: Numbers) -> NDArray[np.bool_]:
    """Mask (N,) of the windows (N, width) that stand somewhere in the ids."""
    width = windows.shape[1]
    hashes = hash_rows(windows)
    wanted, stretches = HashSet(hashes), dict[int, Numbers]()
    for begin, chunk in chunks(ids, width):
        for position, value in wanted.find(chunk.hashes(width)):
            if value not in stretches:
                stretches[value] = np.array(ids[begin + position:begin + position + width])
    found = np.array([value in stretches for value in hashes.tolist()])
    there = np.array([stretches[value] for value in hashes[found].tolist()]).reshape(-1, width)
    found[found] = (there == windows[found]).all(axis=1)
    return found


def _covered(starts: NDArray[np.intp], width: int, length: int) -> int:
    """Number of positions, of `length`, that lie in one of the windows that begin at `starts`."""
    edges = np.zeros(length + width + 1, np.int64)
    edges[starts] += 1
    edges[starts + width] -= 1
    return int((np.cumsum(edges) > 0).sum())


def unknown_share(ids: Numbers, unk_id: int | None) -> float:
    """The share of the ids that are `<unk>`; 0 where the tokenizer has none."""
    return 0.0 if unk_id is None or not len(ids) else float((np.asarray(ids) == unk_id).mean())
