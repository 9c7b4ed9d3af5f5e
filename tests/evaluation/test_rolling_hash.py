"""Hashes of windows against their definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.evaluation import rolling_hash
from tinylm.evaluation.rolling_hash import HashSet, WindowHashes, chunks, hash_rows

numbers = st.lists(st.integers(0, 3), max_size=30).map(lambda values: np.array(values, np.uint16))
quick = settings(derandomize=True, deadline=None)


@quick
@given(numbers, st.integers(1, 8))
def test_hashes_are_equal_where_windows_are(values, width):
    hashes = WindowHashes(values).hashes(width)
    texts = [tuple(values[i:i + width]) for i in range(len(values) - width + 1)]
    assert len(hashes) == len(texts)
    assert len(set(hashes.tolist())) == len(set(texts))
    assert len(set(zip(texts, hashes.tolist(), strict=True))) == len(set(texts))
    assert hash_rows(np.array(texts, np.uint16).reshape(-1, width)).tolist() == hashes.tolist()


@quick
@given(numbers, numbers, st.integers(1, 4))
def test_what_is_wanted_is_found_at_its_places(values, others, width):
    hashes, wanted = WindowHashes(values).hashes(width), WindowHashes(others).hashes(width)
    expected = [(i, value) for i, value in enumerate(hashes.tolist()) if value in set(wanted.tolist())]
    assert list(HashSet(wanted).find(hashes)) == expected


def test_chunks_hold_every_window_once_whole(monkeypatch):
    monkeypatch.setattr(rolling_hash, "CHUNK", 8)
    values = np.arange(50, dtype=np.uint32)
    whole = WindowHashes(values).hashes(5).tolist()
    for longest in (5, 20):
        found = {begin + i: value for begin, chunk in chunks(values, longest)
                 for i, value in enumerate(chunk.hashes(5).tolist())}
        where = {value: place for place, value in found.items()}
        assert len(where) == len(whole) == len(found), "a window hashes alike in every chunk"
        assert [hash_rows(values[None, place:place + 5])[0] for place in sorted(found)] == whole
