"""The paths of computation, each tested and timed against PyTorch: CPU training, the engine, products of bfloat16.

    python -m tinylm.hardware.paths NAME...

prints a JSON object a line for each path. It is a process of its own (self_test.py), since code that is wrong may end
the process it runs in.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from tinylm.config.presets import size
from tinylm.config.schema import ModelConfig, SampleConfig, WeightDtype
from tinylm.engine.engine import Engine
from tinylm.engine.kv_cache import SequenceCache
from tinylm.engine.sampling_records import SamplingRecords
from tinylm.generation.self_test import engine_test
from tinylm.generation.torch_backend import TorchCache
from tinylm.jit.self_test import SelfTest, Verdict, compare
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.tensors import weights_of
from tinylm.model.threads import flush_denormals, threads_for
from tinylm.model.transformer import TinyLM
from tinylm.sampling.sampler import Sampler
from tinylm.training.backend import Compute, TrainingBackend
from tinylm.training.cpu.self_test import training_test
from tinylm.training.precision import DTYPES

WEIGHTS: tuple[WeightDtype, ...] = ("fp32", "bf16", "int8")
NAMES = (*(f"training {name}" for name in DTYPES), *(f"writing {name}" for name in WEIGHTS), "products bfloat16")
MLP = "swiglu"
"""The activation function of the default preset."""
TURNS, MAX_SECONDS = 3, 0.5
"""Times that a path and its reference are timed, in turns, and the duration after which there is no other turn. The
quickest of each counts, since anything else may have been interrupted."""
TRAINED_SIZE, TRAINED_ROWS, TRAINED_LENGTH = "0.8M", 16, 64
WRITTEN_SIZE, WRITTEN_TOKENS, TORCH_TOKENS = "5M", 32, 6
VOCABULARY = 256
PRODUCT_SIZE, PRODUCT_LIMIT = 768, 0.004
"""Rows and columns of two matrices, and the largest error of their product: that of rounding it to bfloat16."""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class PathResult:
    """The verdict on a path, and its speed.

    Attributes:
        name: one of `NAMES`.
        speed, reference_speed: of the path and of PyTorch's, in `unit`; 0: not measured, for the path is wrong.
        unit: tokens/s or GFLOP/s.
    """

    name: str
    verdict: Verdict
    speed: float
    reference_speed: float
    unit: str

    @property
    def factor(self) -> float:
        """The speed in terms of the reference's; NaN where it was not measured."""
        return self.speed / self.reference_speed if self.reference_speed else math.nan

    @classmethod
    def from_json(cls, line: str) -> PathResult:
        """Reads a line of the child process."""
        fields = json.loads(line)
        return cls(**{**fields, "verdict": Verdict(**fields["verdict"])})


def self_test_of(name: str) -> SelfTest | None:
    """The self-test whose verdict decides whether a path is used; None: it is no code of ours."""
    kind, dtype = name.split()
    if kind == "products":
        return None
    return training_test(DTYPES[dtype], MLP) if kind == "training" else engine_test(_weight_dtype(dtype))


def measure(name: str) -> PathResult:
    """Tests a path anew, and times it if it is right."""
    test, (kind, dtype) = self_test_of(name), name.split()
    verdict = test.run() if test else _product_verdict()
    times = {"training": _training_times, "writing": _writing_times, "products": _product_times}[kind]
    seconds, reference, amounts = times(dtype) if verdict.is_right else (math.inf, math.inf, (1.0, 1.0))
    unit = "GFLOP/s" if kind == "products" else "tokens/s"
    return PathResult(name, verdict, amounts[0] / seconds, amounts[1] / reference, unit)


Times = tuple[float, float, tuple[float, float]]
"""Seconds of a path and of its reference, and how much each of them did."""


def _training_times(dtype: str) -> Times:
    """Gradients of a batch by compiled code, and by autograd in 32 bits."""
    config = ModelConfig(vocab_size=VOCABULARY, context_length=TRAINED_LENGTH, **size(TRAINED_SIZE)["model"])
    ids = np.arange(TRAINED_ROWS * TRAINED_LENGTH).reshape(TRAINED_ROWS, TRAINED_LENGTH) % VOCABULARY
    cores = threads_for(math.inf)
    fast = Compute(CPU, DTYPES[dtype], ThreadPool(cores), fast=True)

    def gradients(compute: Compute) -> Callable[[], None]:
        backend = TrainingBackend(TinyLM(config), compute)

        def step() -> None:
            with compute.running():
                backend.backward([(ids, ids)], ids.size, dropout_seed=0)

        return step

    with flush_denormals():
        reference = Compute(CPU, torch.float32, ThreadPool(cores), fast=False)
        return *_in_turns(gradients(fast), gradients(reference)), (ids.size, ids.size)


def _writing_times(weight_dtype: str) -> Times:
    """Tokens of one text by the engine, and by the torch module in 32 bits."""
    config = ModelConfig(vocab_size=VOCABULARY, context_length=2 * WRITTEN_TOKENS, **size(WRITTEN_SIZE)["model"])
    model = TinyLM(config).eval()
    engine = Engine(config, weights_of(model), _weight_dtype(weight_dtype))
    bias = np.zeros(VOCABULARY, np.float32)

    def write() -> None:
        records = SamplingRecords([Sampler(SampleConfig(greedy=True), [], bias, 0)], eos_id=-1)
        engine.write([SequenceCache(config)], [1], records, WRITTEN_TOKENS)

    def write_by_torch() -> None:
        cache = TorchCache(model)
        for id in range(TORCH_TOKENS):
            cache.read([id])

    return *_in_turns(write, write_by_torch), (WRITTEN_TOKENS, TORCH_TOKENS)


def _product_matrices() -> tuple[torch.Tensor, torch.Tensor]:
    """Two matrices of numbers that bfloat16 holds exactly."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(PRODUCT_SIZE, PRODUCT_SIZE, generator=generator).bfloat16() for _ in range(2))
    return first, second


def _product_verdict() -> Verdict:
    first, second = _product_matrices()
    product, expected = (first @ second).float().numpy(), (first.double() @ second.double()).numpy()
    return compare([("a product of bfloat16", product, expected)], PRODUCT_LIMIT)


def _product_times(_: str) -> Times:
    """Products of bfloat16, and of 32 bits."""
    first, second = _product_matrices()
    wide = first.float(), second.float()
    billions = 2e-9 * PRODUCT_SIZE**3
    return *_in_turns(lambda: first @ second, lambda: wide[0] @ wide[1]), (billions, billions)


def _in_turns(path: Callable[[], Any], reference: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of both: the least of `TURNS`, after a call of each that does not count."""
    path()
    reference()
    both: list[tuple[float, float]] = []
    while len(both) < TURNS and sum(map(sum, both)) < MAX_SECONDS:
        both.append((_seconds(path), _seconds(reference)))
    return min(first for first, _ in both), min(second for _, second in both)


def _seconds(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _weight_dtype(name: str) -> WeightDtype:
    return next(each for each in WEIGHTS if each == name)


def _lines(names: list[str]) -> Iterator[str]:
    for name in names:
        yield json.dumps(asdict(measure(name)))


if __name__ == "__main__":
    for line in _lines(sys.argv[1:]):
        print(line, flush=True)
