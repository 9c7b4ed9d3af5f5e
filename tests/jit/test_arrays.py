"""Arrays for kernels: where they begin, and how their lengths are rounded up, in Python and in kernels alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from tinylm.jit.arrays import PAGE_BYTES, address_of, aligned_zeros, round_up


@given(count=st.integers(0, 10**6), step=st.sampled_from([1, 4, 16, 32]))
def test_round_up_gives_the_smallest_multiple(count: int, step: int) -> None:
    found = round_up(count, step)
    assert found % step == 0
    assert count <= found < count + step


def test_kernels_round_up_as_python_does() -> None:
    in_kernel = njit(round_up)
    assert [in_kernel(count, 16) for count in range(40)] == [round_up(count, 16) for count in range(40)]


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.int8])
@pytest.mark.parametrize("shape", [(3, 5, 16), (1,)])
def test_aligned_zeros_begin_with_a_page(shape: tuple[int, ...], kind: type) -> None:
    array = aligned_zeros(shape, kind)
    assert (array.shape, array.dtype, array.any()) == (shape, np.dtype(kind), False)
    assert address_of(array) % PAGE_BYTES == 0
    assert address_of(None) == 0
