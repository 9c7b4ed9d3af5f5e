"""The precision of training's matrix products. Weights, gradients and optimiser state have 32 bits always."""

from __future__ import annotations

import functools
import math
import time

import torch

from tinylm.system.cores import arm_has_bfloat16

MAX_PROBE_SECONDS = 1.0
"""Products of bfloat16 that were slow for so long are held to be emulated."""
EMULATED_SLOWDOWN = 3
"""A product of bfloat16 that takes less than this times what one of 32 bits takes is not emulated."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype of matrix products.

    Args:
        name: "float32", "bfloat16", or "auto": bfloat16 where the processor multiplies it, for it is twice as fast
            there and as good. It has the range of 32 bits, and its rounding is small beside the noise of a batch. Older
            GPUs: `gpu_precision`.

    >>> choose_precision("float32", torch.device("cpu"))
    torch.float32
    """
    if name != "auto":
        return DTYPES[name]
    if device.type == "cuda":
        return gpu_precision(torch.cuda.is_bf16_supported(including_emulation=False),
                             torch.cuda.get_device_capability(device))
    return torch.bfloat16 if device.type == "cpu" and cpu_multiplies_bfloat16() else torch.float32


def gpu_precision(multiplies_bfloat16: bool, capability: tuple[int, int]) -> torch.dtype:
    """The dtype of matrix products on a GPU under "auto": bfloat16; float16, whose gradients have to be scaled
    (step.py), on cards from before 2020 that have tensor cores for it alone (V100, T4, RTX 20); else float32.

    Args:
        multiplies_bfloat16: in hardware. Torch emulates it on all cards, several times slower than float16.
        capability: compute capability, such as (7, 5) for a T4.

    >>> gpu_precision(False, (7, 5)), gpu_precision(False, (6, 0))
    (torch.float16, torch.float32)
    """
    if multiplies_bfloat16:
        return torch.bfloat16
    return torch.float16 if capability >= (7, 0) else torch.float32


@functools.cache
def cpu_multiplies_bfloat16() -> bool:
    """True if the CPU has bfloat16 instructions and a timed product confirms that they are not emulated, and on ARM
    that torch's products use them.

    An emulated product takes 40 to 500 times as long as one of 32 bits. The clock is believed only after
    `MAX_PROBE_SECONDS`: products that another program interrupts are slow, too, and the same run must not come out in
    other numbers on a busy machine."""
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    on_arm = arm_has_bfloat16()
    if not (on_arm or any(getattr(torch.cpu, name, lambda: False)() for name in known)):
        return False
    most = 1 if on_arm else EMULATED_SLOWDOWN
    deadline, plain = time.perf_counter() + MAX_PROBE_SECONDS, math.inf
    while time.perf_counter() < deadline:
        plain = min(plain, _product_seconds(torch.float32))
        if _product_seconds(torch.bfloat16) < most * plain:
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
