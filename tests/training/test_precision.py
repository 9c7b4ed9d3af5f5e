"""Whether products of 16 bits are worth it: a busy moment must not say no, and a slow processor must."""

from __future__ import annotations

import itertools

import pytest
import torch

from tinylm.training import precision


@pytest.fixture
def seconds_of_bfloat16(monkeypatch):
    """Each product of 32 bits takes a millisecond, and one of 16 what is given here."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)

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
