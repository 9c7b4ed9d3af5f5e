"""How many cores to compute with. Sharing work out costs some microseconds a product, and far more when another program
holds one of the cores: small work is quicker on one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

ENOUGH_FOR_TWO = 1e9
"""Floating point operations in one piece of work (a training step, a forward pass) from which on all cores help.
Measured: a step of 0.02 GFLOP takes 8 times as long on two busy cores as on one; one of 20 GFLOP gains from the second.
"""


@contextmanager
def threads_for(flops: float) -> Iterator[None]:
    """Within the block torch uses one core for small work, and all it had for large."""
    before = torch.get_num_threads()
    if flops < ENOUGH_FOR_TWO:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
