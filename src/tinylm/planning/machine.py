"""The machine of a run: the device, and what a plan has to know of it, measured."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch

from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.generation.batch import Batch
from tinylm.generation.torch_backend import TorchBackend
from tinylm.model.transformer import TinyLM
from tinylm.planning.defaults import REFERENCE_SPEED
from tinylm.planning.memory_check import available_bytes
from tinylm.planning.throughput import measure_speed, warm_up
from tinylm.system.memory import trim_heap


@dataclass(frozen=True)
class Machine:
    """A machine, as far as a plan depends on it.

    Attributes:
        speed: FLOP/s in training steps at a width of 128 (`throughput.measure_speed`).
        available_bytes: memory that is free for the run, of the device.
        held_bytes: memory of the process, with all code loaded and nothing of the run allocated.
    """

    device: torch.device
    speed: float
    available_bytes: int
    held_bytes: int


def measure_machine(kind: ModelConfig, device: torch.device, *, precision: str = "auto",
                    seconds: float | None = None) -> Machine:
    """Measures this machine.

    Args:
        kind: the smallest model of the kind that will be trained (`throughput.smallest_model`).
        precision: as in `TrainConfig`.
        seconds: for the measurement of the speed; None takes `REFERENCE_SPEED`, the same on every machine.
    """
    warm_up(kind, device, precision)
    _warm_up_generation(kind, device)
    trim_heap()
    held_bytes = psutil.Process().memory_info().rss
    speed = REFERENCE_SPEED if seconds is None else measure_speed(kind, device, precision, seconds)
    return Machine(device, speed, available_bytes(device), held_bytes)


def _warm_up_generation(kind: ModelConfig, device: torch.device) -> None:
    """Loads the code that the run's samples need, so that `held_bytes` includes it."""
    batch = Batch(TorchBackend(TinyLM(kind).to(device).eval()), kind.vocab_size, eos_id=-1)
    batch.add([0], SampleConfig(max_tokens=2, greedy=True), seed=0)
    while batch.running:
        batch.step()
