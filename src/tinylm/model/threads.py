"""How the processor is set while it computes: on how many cores, and what it does with vanishing numbers.

Sharing work out costs some microseconds a product, and far more when another program holds one of the cores: small work
is quicker on one."""

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
    """One for small work; for large, as many as torch has been given."""
    return 1 if flops < MULTITHREADED_FLOPS else torch.get_num_threads()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Within the block torch shares its work out among so many threads."""
    before = torch.get_num_threads()
    if count == before:  # setting it, even to what it is, throws away what torch has prepared for its products
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Within the block numbers too small to mean anything (below 1e-38) are zero: they slow a CPU down a hundredfold.
    Afterwards this thread is as it was, for whoever called us may need them."""
    before = bool(np.finfo(np.float64).tiny / 2 == 0.0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
