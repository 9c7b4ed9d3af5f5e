"""What is given back is gone from what the system counts, and what was mapped reads as before."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import numpy as np
import pytest

from tinylm.system.memory import peak_memory_bytes, release_pages, trim_heap

SIZE = 32_000_000
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux counts")


def held() -> int:
    """Bytes of this process in memory, mapped files included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@linux
def test_pages_of_a_mapped_file_are_forgotten_and_read_again(tmp_path: Path) -> None:
    np.arange(SIZE // 4, dtype=np.int32).tofile(tmp_path / "ids")
    ids = np.memmap(tmp_path / "ids", np.int32, "r")
    before = held()
    total = int(ids.sum())
    assert held() - before > 0.9 * SIZE
    release_pages(ids[10:])
    assert held() - before < 0.1 * SIZE
    assert int(ids.sum()) == total


def test_an_array_in_memory_is_left_alone() -> None:
    array = np.arange(5)
    release_pages(array)
    assert array.tolist() == [0, 1, 2, 3, 4]


@linux
def test_what_was_freed_between_what_is_held_is_given_back() -> None:
    trim_heap()  # what earlier tests freed, which would be used again
    before = held()
    many = [bytes(4000) for _ in range(SIZE // 4000)]
    last = bytes(4000)  # behind them, so that they do not end the heap
    assert held() - before > 0.8 * SIZE
    many.clear()
    trim_heap()
    assert held() - before < 0.5 * SIZE
    assert last


def test_the_peak_is_what_was_held_at_most() -> None:
    before = peak_memory_bytes()
    assert np.ones(before // 8 + 1_000_000).sum() > 0
    assert peak_memory_bytes() > before
