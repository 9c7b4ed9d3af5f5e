"""Denormal numbers are zero in every thread that trains, also where threads inherit nothing from their maker."""

from __future__ import annotations

import numpy as np
import torch

from tinylm.config.schema import ModelConfig
from tinylm.model import threads
from tinylm.model.threads import torch_threads
from tinylm.training.backend import choose_compute


def denormals_are_zero(_: int) -> bool:
    return bool(np.finfo(np.float64).tiny / 2 == 0)


def test_the_threads_of_training_compute_denormals_as_zero_and_leave_the_callers_alone(monkeypatch):
    for cores in ("available_cores", "fast_cores"):
        monkeypatch.setattr(threads, cores, lambda: 3)
    with torch_threads(3):
        workers = choose_compute(ModelConfig(vocab_size=4), torch.device("cpu"), flops=1e12).workers
    assert workers.map(denormals_are_zero) == [False, True, True]
