"""Whether products of 16 bits are worth it: a busy moment must not say no, and a slow processor must."""

from __future__ import annotations

import itertools

import pytest
import torch

from tinylm.training import precision


@pytest.fixture(params=["x86", "ARM"])
def seconds_of_bfloat16(monkeypatch, request):
    """Each product of 32 bits takes a millisecond, and one of 16 what is given here."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param == "x86")
    monkeypatch.setattr(precision, "arm_has_bfloat16", lambda: request.param == "ARM")

    def set_to(times):
        taken = iter(times)
        monkeypatch.setattr(precision, "_product_seconds",
                            lambda dtype: next(taken) if dtype == torch.bfloat16 else 0.001)

    return set_to


def test_products_that_were_interrupted_are_tried_again(seconds_of_bfloat16):
    seconds_of_bfloat16([0.004, 0.008, 0.004, 0.0005])
    assert precision.cpu_multiplies_bfloat16.__wrapped__()


def test_products_that_are_always_slow_are_emulated(seconds_of_bfloat16, monkeypatch):
    monkeypatch.setattr(precision, "MAX_PROBE_SECONDS", 0.01)
    seconds_of_bfloat16(itertools.repeat(0.04))
    assert not precision.cpu_multiplies_bfloat16.__wrapped__()


def test_on_arm_a_product_of_16_bits_has_to_be_the_quicker_one(seconds_of_bfloat16, monkeypatch, request):
    monkeypatch.setattr(precision, "MAX_PROBE_SECONDS", 0.01)
    seconds_of_bfloat16(itertools.repeat(0.002))
    assert precision.cpu_multiplies_bfloat16.__wrapped__() == ("x86" in request.node.name)


@pytest.mark.parametrize(("card", "multiplies_bfloat16", "capability", "dtype"), [
    ("H100", True, (9, 0), torch.bfloat16), ("RTX 3060", True, (8, 6), torch.bfloat16),
    ("an AMD card", True, (9, 0), torch.bfloat16), ("T4", False, (7, 5), torch.float16),
    ("V100", False, (7, 0), torch.float16), ("P100", False, (6, 0), torch.float32),
])
def test_a_gpu_gets_the_shortest_numbers_that_it_multiplies_in_hardware(card, multiplies_bfloat16, capability, dtype):
    assert precision.gpu_precision(multiplies_bfloat16, capability) == dtype, card
