"""In which numbers the matrix products of training are made. Weights, gradients and moments have 32 bits always."""

from __future__ import annotations

import functools
import math
import time

import torch

MAX_PROBE_SECONDS = 1.0
"""Seconds after which products of bfloat16 that were slow all the time are held to be emulated."""
NAMES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The one that was asked for; "auto": bfloat16 where the processor multiplies it, for it is twice as fast there and
    as good: it has the range of 32 bits, and the rounding is small beside the noise of a batch."""
    if name != "auto":
        return NAMES[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type == "cpu" and cpu_multiplies_bfloat16() else torch.float32


@functools.cache
def cpu_multiplies_bfloat16() -> bool:
    """Whether the CPU has instructions for it, and a product does not say otherwise: emulated, it takes 40 to 500 times
    as long. That it is slow is believed only after a while: products that another program interrupts are slow, too, and
    the same run must not come out in other numbers on a busy machine."""
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    if not any(getattr(torch.cpu, name, lambda: False)() for name in known):
        return False
    until, plain = time.perf_counter() + MAX_PROBE_SECONDS, math.inf
    while time.perf_counter() < until:
        plain = min(plain, _product_seconds(torch.float32))
        if _product_seconds(torch.bfloat16) < 3 * plain:
            return True
    return False


def _product_seconds(dtype: torch.dtype) -> float:
    matrix = torch.ones(384, 384, dtype=dtype)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - began)
    return min(times)
