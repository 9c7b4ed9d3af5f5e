"""Dropout as it is asked for: none, or what a seed says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Within the block nothing is dropped. Afterwards the model is as it was, in training or not."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def seeded_dropout(seed: int, model: nn.Module) -> Iterator[None]:
    """Within the block what is dropped is a pure function of the seed. Dropout draws from torch's global generator:
    seeded here, and put back as it was."""
    if not any(isinstance(m, nn.Dropout) and m.p > 0 for m in model.modules()):
        yield
    elif next(model.parameters()).device.type == "cpu":  # torch.manual_seed would ask every other kind of device, too
        before = torch.default_generator.get_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.default_generator.set_state(before)
    else:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
