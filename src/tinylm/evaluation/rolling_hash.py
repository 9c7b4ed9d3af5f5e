"""Rolling hashes: of all windows of a sequence of numbers, and their positions in a long sequence.

The hash of a window is a polynomial of its numbers, modulo 2^64 (Karp and Rabin 1987, "Efficient randomized
pattern-matching algorithms"). Sums of numbers times powers of an odd base give the hash of every window of every width
in a few operations on whole arrays. Equal windows have equal hashes; the converse is for the caller to verify.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.system.memory import release_pages

Hashes = NDArray[np.uint64]
Numbers = NDArray[Any]

CHUNK = 1 << 17
"""A long sequence is hashed in chunks of this many windows, whose arrays fit the processor's cache."""
_BASE = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2^64."""
_FILTER_BITS = 20


class WindowHashes:
    """The hashes of all windows of some numbers."""

    def __init__(self, numbers: Numbers) -> None:
        powers, self._inverses = _powers(_power_of_two(len(numbers)))
        self._sums = np.zeros(len(numbers) + 1, np.uint64)
        np.multiply(numbers, powers[:len(numbers)], out=self._sums[1:], dtype=np.uint64, casting="unsafe")
        np.cumsum(self._sums, out=self._sums)

    def hashes(self, width: int) -> Hashes:
        """(len(numbers) - width + 1,): the hash of numbers[i:i + width] for each i; empty if there is none."""
        if width >= len(self._sums):
            return np.zeros(0, np.uint64)
        return (self._sums[width:] - self._sums[:-width]) * self._inverses[:len(self._sums) - width]


def hash_rows(rows: Numbers) -> Hashes:
    """Hash of each row of a matrix (windows, width), the same as that of a window."""
    powers, _ = _powers(_power_of_two(rows.shape[1]))
    hashes: Hashes = (rows * powers[:rows.shape[1]]).sum(axis=1)
    return hashes


def _power_of_two(length: int) -> int:
    """Lengths are rounded up to a power of two, to compute few tables of powers."""
    return 1 << max(0, length - 1).bit_length()


@lru_cache(maxsize=4)
def _powers(length: int) -> tuple[Hashes, Hashes]:
    """The powers of the base and of its inverse, from exponent 0."""
    powers = np.full((2, length), [[_BASE], [pow(_BASE, -1, 1 << 64)]], np.uint64)
    powers[:, 0] = 1
    np.cumprod(powers, axis=1, out=powers)
    return powers[0], powers[1]


def chunks(numbers: Numbers, longest: int) -> Iterator[tuple[int, WindowHashes]]:
    """A long sequence in chunks (where each begins, its windows): a window of up to `longest` numbers lies whole in the
    chunk in which it begins."""
    step = max(CHUNK, longest)
    for begin in range(0, len(numbers), step):
        yield begin, WindowHashes(numbers[begin:begin + step + longest - 1])
        release_pages(numbers)


class HashSet:
    """Set of hashes to look for."""

    def __init__(self, hashes: Hashes) -> None:
        self._sorted = np.sort(hashes)
        self._filter = np.zeros(1 << _FILTER_BITS, bool)  # most of what is not wanted fails this one look-up
        self._filter[self._slots(hashes)] = True

    def find(self, hashes: Hashes) -> Iterator[tuple[int, int]]:
        """(position, hash) of those in `hashes` that are wanted, in the order of positions."""
        positions = np.flatnonzero(self._filter.take(self._slots(hashes)))
        if len(positions):
            found = hashes[positions]
            at = np.searchsorted(self._sorted, found)
            exact = self._sorted[np.minimum(at, len(self._sorted) - 1)] == found
            yield from zip(positions[exact].tolist(), found[exact].tolist(), strict=True)

    @staticmethod
    def _slots(hashes: Hashes) -> NDArray[np.int64]:
        return (hashes >> np.uint64(64 - _FILTER_BITS)).view(np.int64)  # numpy looks up signed numbers quicker
