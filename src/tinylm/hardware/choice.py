"""The paths that training and writing take on this machine, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from tinylm.config.schema import ModelConfig
from tinylm.generation.self_test import engine_test
from tinylm.hardware.paths import VOCABULARY, WEIGHTS, PathResult
from tinylm.training.backend import choose_compute

WORTHWHILE = 1.1
"""A speed that is less than this times another is about as good."""


@dataclass(frozen=True)
class Choice:
    """A path that is taken.

    Attributes:
        path: "compiled", or PyTorch: on a "gpu", or on the CPU ("torch").
        reason: sentences for people.
    """

    path: Literal["compiled", "gpu", "torch"]
    reason: str


def training_choice(results: Sequence[PathResult], device: torch.device) -> Choice:
    """The path of `tinylm train` without a choice of device or precision.

    Args:
        results: of all paths (self_test.py).
        device: of the run.
    """
    compute = choose_compute(ModelConfig(vocab_size=VOCABULARY), device, flops=math.inf)
    if device.type != "cpu":
        return Choice("gpu", f"tinylm train takes the GPU ({compute}). --device cpu takes the CPU.")
    found = _by_name(results)
    wrong = [each for name, each in found.items() if name.startswith("training") and not each.verdict.is_right]
    if not compute.fast:
        reason = f" Compiled training is wrong on this processor: {wrong[0].verdict}." if wrong else ""
        return Choice("torch", f"tinylm train takes PyTorch's autograd ({compute}).{reason}")
    name = str(compute.dtype).removeprefix("torch.")
    bits = "" if name == "float32" else _product_reason(found)
    speed = f"its gradients are right, at {_times(found[f'training {name}'].factor)} the speed of PyTorch's autograd"
    return Choice("compiled", f"tinylm train takes compiled code ({compute}): {speed}.{bits}")


def writing_choice(results: Sequence[PathResult]) -> Choice:
    """The path of `tinylm generate`, `chat` and `serve`. `results`: as of `training_choice`."""
    found = _by_name(results)
    verdict = engine_test("fp32").verdict
    if not verdict.is_right:
        return Choice("torch", "tinylm generate takes PyTorch. The compiled engine is wrong on this processor: "
                               f"{verdict}.")
    plain = found["writing fp32"]
    best = max((found[f"writing {name}"] for name in WEIGHTS if found[f"writing {name}"].verdict.is_right),
               key=lambda each: each.speed)
    faster = best.speed / plain.speed
    more = "" if faster < WORTHWHILE else (
        f" With --weight-dtype {best.name.split()[1]} it is {faster:.1f} times as fast again, and a little inexact.")
    return Choice("compiled", f"tinylm generate takes the compiled engine: it is right, at {_times(plain.factor)} the "
                              f"speed of PyTorch.{more}")


def _by_name(results: Sequence[PathResult]) -> dict[str, PathResult]:
    return {result.name: result for result in results}


def _product_reason(found: dict[str, PathResult]) -> str:
    factor = found["products bfloat16"].factor
    return f" This processor multiplies bfloat16, at {_times(factor)} the speed of 32 bits." if factor > 1 else ""


def _times(factor: float) -> str:
    """`3.1 times`, `38 times`."""
    return f"{factor:.1f} times" if factor < 10 else f"{factor:.0f} times"
