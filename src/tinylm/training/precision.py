"""The precision of training's matrix products. Weights, gradients and optimiser state have 32 bits always."""

from __future__ import annotations

import functools
import math
import time

import torch

MAX_PROBE_SECONDS = 1.0
"""Products of bfloat16 that were slow for so long are held to be emulated."""
EMULATED_SLOWDOWN = 3
"""A product of bfloat16 that takes less than this times what one of 32 bits takes is not emulated."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of matrix products.

    Args:
        name: "float32", "bfloat16", or "auto": bfloat16 where the processor multiplies it, for it is twice as fast
            there and as good. It has the range of 32 bits, and its rounding is small beside the noise of a batch.

    >>> choose_precision("float32", torch.device("cpu"))
    torch.float32
    """
    if name != "auto":
        return DTYPES[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type == "cpu" and cpu_multiplies_bfloat16() else torch.float32


@functools.cache
def cpu_multiplies_bfloat16() -> bool:
    """True if the CPU has bfloat16 instructions and a timed product confirms that they are not emulated.

    An emulated product takes 40 to 500 times as long as one of 32 bits. The clock is believed only after
    `MAX_PROBE_SECONDS`: products that another program interrupts are slow, too, and the same run must not come out in
    other numbers on a busy machine."""
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    if not any(getattr(torch.cpu, name, lambda: False)() for name in known):
        return False
    deadline, plain = time.perf_counter() + MAX_PROBE_SECONDS, math.inf
    while time.perf_counter() < deadline:
        plain = min(plain, _product_seconds(torch.float32))
        if _product_seconds(torch.bfloat16) < EMULATED_SLOWDOWN * plain:
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
