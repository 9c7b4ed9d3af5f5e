"""The self-test of CPU training says of right code that it is right, with room, whatever the activation function."""

import pytest
import torch

from tinylm.training.cpu.self_test import training_test


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("mlp", ["swiglu", "gelu", "relu", "squared_relu"])
def test_right_code_is_found_right(dtype: torch.dtype, mlp: str) -> None:
    verdict = training_test.__wrapped__(dtype, mlp).run()
    assert verdict.error <= verdict.limit / 2, str(verdict)
