"""A guard of the hot path: how many operators and kernels one training step calls. Counted, not timed, so that a busy
machine says nothing; a step that grew by a tenth has work in it that somebody should have seen.

Where a change is meant to cost more, write the new figures here and the reason into LOG.md.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.transformer import TinyLM
from tinylm.training.backend import REFERENCE, Compute, TrainingBackend
from tinylm.training.cpu import attention, kernels, network, packed_matmul
from tinylm.training.optimizer import make_optimizers
from tinylm.training.step import train_step

CONFIG = ModelConfig(vocab_size=68, context_length=64)
"""The default shape, 0.8M."""
FAST = Compute(torch.device("cpu"), torch.float32, ThreadPool(), fast=True)
CALLS = {"reference": 1240, "fast": 270}
"""Of a step after the first: operators of torch, kernels of ours."""


class Operators(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


@pytest.fixture
def kernel_calls(monkeypatch):
    """Counts the calls of every kernel."""
    counted = []

    def counting(kernel):
        def call(*arrays):
            counted.append(kernel)
            return kernel(*arrays)
        return call

    for room in (kernels, attention, packed_matmul):
        for name, kernel in list(vars(room).items()):
            ours = getattr(getattr(kernel, "py_func", None), "__module__", "") == room.__name__
            if ours and not name.startswith("_"):  # those are parts, compiled into the others
                monkeypatch.setattr(room, name, counting(kernel))
    monkeypatch.setattr(network, "ACTIVATIONS", {name: tuple(map(counting, pair))
                                                 for name, pair in network.ACTIVATIONS.items()})
    return counted


@pytest.mark.parametrize(("name", "compute"), [("reference", REFERENCE), ("fast", FAST)])
def test_a_step_calls_no_more_than_it_did(name, compute, kernel_calls):
    model = TinyLM(CONFIG)
    optimizers = make_optimizers(model, TrainConfig(steps=1), compute)
    backend, batch = TrainingBackend(model, compute), (np.ones((4, 64), np.int64),) * 2
    train_step(model, optimizers, [batch], grad_clip=1.0, backend=backend)
    kernel_calls.clear()
    with Operators() as operators:
        train_step(model, optimizers, [batch], grad_clip=1.0, backend=backend)
    calls = operators.count + len(kernel_calls)
    assert 0.8 * CALLS[name] <= calls <= 1.1 * CALLS[name], f"{calls} calls, and {CALLS[name]} are known"
    assert bool(kernel_calls) == compute.fast
