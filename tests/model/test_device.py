"""A device that is there and cannot compute is left out under `auto`, and refused where it was asked for."""

from __future__ import annotations

import pytest
import torch

from tinylm.errors import TinyLMError
from tinylm.model.device import choose_device, device_fault, device_kinds, is_out_of_memory, synchronize

WITHOUT = pytest.mark.skipif("cuda" in device_kinds(), reason="on this machine CUDA can compute")


@WITHOUT
def test_auto_leaves_a_device_out_that_cannot_compute_and_says_why() -> None:
    said: list[str] = []
    assert choose_device("auto", kinds=["cuda", "cpu"], log=said.append) == torch.device("cpu")
    [line] = said
    assert line.startswith("note       the device cuda is left out, for it cannot compute: ")
    assert device_fault("cuda") in line


@WITHOUT
def test_a_device_that_was_asked_for_and_cannot_compute_is_refused() -> None:
    with pytest.raises(TinyLMError, match=r"cuda cannot compute: .*Try --device cpu"):
        choose_device("cuda", kinds=["cuda", "cpu"])
    with pytest.raises(TinyLMError, match=r"no cuda\. It has: cpu"):
        choose_device("cuda", kinds=["cpu"])


def test_a_wrong_product_is_a_fault() -> None:
    """Tensors of the kind `meta` have no numbers, so nothing can be right there."""
    assert device_fault("meta")
    assert not device_fault("cpu")


def test_every_device_that_auto_may_take_can_be_waited_for() -> None:
    for kind in device_kinds():
        if not device_fault(kind):
            synchronize(torch.device(kind))


def test_errors_by_which_memory_ran_out_are_known() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60)
    assert is_out_of_memory(error.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
