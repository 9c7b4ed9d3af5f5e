"""Threads of torch, and denormal numbers: how the processor is set while it computes.

Sharing a product out among threads costs some microseconds, and far more when another program holds one of the cores:
small products are quicker on one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

MULTITHREADED_FLOPS = 1e9
"""Floating point operations in one piece of work (a training step, a forward pass) from which on all cores help.
Measured: a step of 0.02 GFLOP takes 8 times as long on two busy cores as on one; one of 20 GFLOP gains from the second.
"""


def threads_for(flops: float) -> int:
    """The number of threads for one piece of work: one if it is small, else as many as torch has been given.

    >>> threads_for(2e7)
    1
    """
    return 1 if flops < MULTITHREADED_FLOPS else torch.get_num_threads()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Sets the number of torch's threads within the block; afterwards it is as it was."""
    before = torch.get_num_threads()
    if count == before:  # setting it, even to what it is, throws away what torch has prepared for its products
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def set_flush_denormals() -> None:
    """Makes the calling thread compute denormal numbers as zero from now on: for the threads of a pool, which inherit
    that from the thread that makes them on Linux, and on Windows do not."""
    torch.set_flush_denormal(True)


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Makes the calling thread compute denormal numbers (below 1e-38) as zero within the block: they mean nothing, and
    slow a CPU down a hundredfold. Afterwards the thread is set as it was, for its caller may need them."""
    before = bool(np.finfo(np.float64).tiny / 2 == 0.0)
    set_flush_denormals()
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
