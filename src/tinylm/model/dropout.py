"""Dropout switched off, or made a function of a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Puts the model into evaluation mode within the block, so that nothing is dropped. Its mode comes back after it.

    >>> from torch import nn
    >>> model = nn.Dropout(0.5)
    >>> with without_dropout(model):
    ...     model(torch.ones(3))
    tensor([1., 1., 1.])
    >>> model.training
    True
    """
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def seeded_dropout(seed: int, model: nn.Module) -> Iterator[None]:
    """Makes dropout within the block a pure function of the seed. Dropout draws from torch's global generator, which is
    seeded for the block and put back as it was."""
    device = next(model.parameters()).device
    if not any(isinstance(m, nn.Dropout) and m.p > 0 for m in model.modules()):
        yield
    elif device.type == "cpu":  # torch.manual_seed would ask every other kind of device, too
        before = torch.default_generator.get_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.default_generator.set_state(before)
    else:
        with torch.random.fork_rng([device.index or 0], device_type=device.type):  # not every card of the machine
            torch.manual_seed(seed)
            yield
