"""Device: the fastest that this machine has and that works, or the one that was asked for."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence

import torch

from tinylm.errors import TinyLMError


def device_kinds() -> list[str]:
    """The kinds of devices that torch sees, in the order in which `auto` prefers them."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [kind for kind, there in present.items() if there]


def choose_device(name: str = "auto", *, kinds: Sequence[str] | None = None,
                  log: Callable[[str], None] = lambda line: print(line, file=sys.stderr)) -> torch.device:
    """The device of that name; `auto` is the first of CUDA, Apple's MPS and the CPU that can compute.

    Args:
        kinds: of the devices that there are; None: those that torch sees.
        log: gets a line for each device that `auto` leaves out, with the reason.

    Raises:
        TinyLMError: the device asked for is not on this machine, or it cannot compute.

    >>> choose_device("auto", kinds=["cpu"])
    device(type='cpu')
    """
    kinds = device_kinds() if kinds is None else kinds
    if name == "auto":
        for kind in kinds:
            if not (fault := device_fault(kind)):
                return torch.device(kind)
            log(f"note       the device {kind} is left out, for it cannot compute: {fault}")
    elif name not in kinds:
        raise TinyLMError(f"this machine has no {name}", where="--device", remedy=f"It has: {', '.join(kinds)}")
    elif fault := device_fault(name):
        raise TinyLMError(f"this machine's {name} cannot compute: {fault}", where="--device", remedy="Try --device cpu")
    return torch.device(name if name != "auto" else "cpu")


@functools.cache
def device_fault(kind: str) -> str:
    """The reason why a device cannot compute, found by one product; empty if it can. A GPU can be there and too old or
    too new for this build of torch, or full of another program's numbers.

    >>> device_fault("cpu")
    ''
    """
    try:
        x = torch.ones(64, 64, device=kind)
        right = bool((x @ x == 64).all())
    except Exception as error:  # torch has no one class for all that can be wrong with a driver
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return "" if right else "its product of two matrices is wrong"


def device_name(device: torch.device) -> str:
    """The name of a device for people, such as `NVIDIA H100` or `CPU`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device.type == "mps" else "CPU"


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that it was asked to do. The CPU has, always."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()


def is_out_of_memory(error: BaseException) -> bool:
    """True for an error by which torch, on any device, or Python says that memory ran out."""
    told = "DefaultCPUAllocator: ", "MPS backend out of memory", "CUDA out of memory"
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(each in str(error) for each in told))
