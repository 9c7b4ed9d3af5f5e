"""Device: the fastest that this machine has, or the one that was asked for."""

from __future__ import annotations

import torch

from tinylm.errors import TinyLMError


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is CUDA, else Apple's MPS, else the CPU.

    Raises:
        TinyLMError: the device asked for is not on this machine.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    if not present.get(name, False):
        there = ", ".join(kind for kind, found in present.items() if found)
        raise TinyLMError(f"this machine has no {name}", where="--device", remedy=f"It has: {there}")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """The name of a device for people, such as `NVIDIA H100` or `CPU`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device.type == "mps" else "CPU"
