"""The self-test of CPU training: gradients and validation loss of small models against autograd in 32 bits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from tinylm.config.schema import ModelConfig
from tinylm.jit.compile import JIT_DIGEST, digest
from tinylm.jit.self_test import Comparison, SelfTest, Verdict, compare
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.threads import torch_threads
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import IGNORE, Batch
from tinylm.training.cpu import attention
from tinylm.training.cpu.gradients import CpuGradients, CpuLoss
from tinylm.training.loss import count_targets, total_loss

LIMITS: dict[torch.dtype, dict[str, float]] = {
    torch.float32: {"relu": 1e-4, "gelu": 1e-4, "squared_relu": 1e-4, "swiglu": 1e-4},
    torch.bfloat16: {"relu": 0.2, "gelu": 0.06, "squared_relu": 0.06, "swiglu": 0.06}}
"""The largest errors of gradients that are right, by precision and activation function. Measured: 2e-6 in float32; in
bfloat16 0.02, since each activation is rounded, and of relu 0.09 (0.1 of PyTorch's autocast): where rounding turns the
sign of what relu reads, a gradient comes or goes whole."""
LOSS_LIMIT = 1e-5
ROWS, LENGTH = 3, attention.QUERY_BLOCK + 37
"""Rows of a batch that end in the midst of a block of attention, and of a vector."""
SHAPES = ({"d_model": 36, "n_heads": 3, "d_head": 20, "d_mlp": 53},
          {"d_model": 32, "n_heads": 4, "n_kv_heads": 2, "qk_norm": False, "tied_embeddings": True})


@cache
def training_test(dtype: torch.dtype, mlp: str) -> SelfTest:
    """The self-test of CPU training in one precision and with one activation function, for which kernels are compiled.

    Args:
        dtype: of matrices and activations: float32 or bfloat16.
        mlp: as in `ModelConfig`.
    """
    sources = repr((JIT_DIGEST, digest(*sorted(Path(__file__).parent.glob("*.py"))), torch.__version__,
                    torch.backends.cpu.get_cpu_capability()))
    name = str(dtype).removeprefix("torch.")
    return SelfTest(f"compiled training ({name}, {mlp})", attention.attend_backward, sources,
                    partial(_test, dtype, mlp), "Training is by PyTorch's autograd, which is slower")


def _test(dtype: torch.dtype, mlp: str) -> Verdict:
    losses, gradients = [], []
    for shape in SHAPES:
        config = ModelConfig(vocab_size=67, context_length=LENGTH, n_layers=2, mlp=mlp, **shape)
        batch, model = _batch(config.vocab_size), _model(config)
        with torch_threads(1):
            losses.append(_loss(model, batch))
            gradients += list(_gradients(model, batch, dtype))
    loss = compare(losses, LOSS_LIMIT)
    return compare(gradients, LIMITS[dtype][mlp]) if loss.is_right else loss


def _loss(model: TinyLM, batch: Batch) -> Comparison:
    """The validation loss, in 32 bits always."""
    inputs, targets = map(torch.from_numpy, batch)
    with torch.no_grad():
        expected = total_loss(model(inputs), targets).item()
    return "the loss", np.array(CpuLoss(model, ThreadPool(2))(*batch)), np.array(expected)


def _gradients(model: TinyLM, batch: Batch, dtype: torch.dtype) -> Iterator[Comparison]:
    n_targets, (inputs, targets) = count_targets([batch]), map(torch.from_numpy, batch)
    with torch.enable_grad():
        (total_loss(model(inputs), targets) / n_targets).backward()
    expected = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()
                if parameter.grad is not None}
    model.zero_grad(set_to_none=True)
    CpuGradients(model, dtype, ThreadPool(2))([batch], n_targets, dropout_seed=0)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        yield f"the gradient of {name}", parameter.grad.numpy(), expected[name]


def _model(config: ModelConfig) -> TinyLM:
    """A model with weights of every part far from zero and from one another, so that no part is without effect. They
    are numbers of bfloat16, so that no error comes of rounding them."""
    model, generator = TinyLM(config), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(float(parameter.ndim == 1), 0.2, generator=generator)
            parameter.copy_(parameter.bfloat16())
    return model


def _batch(vocab_size: int) -> Batch:
    """Random ids and targets, some of which do not count."""
    random = np.random.default_rng(0)
    inputs, targets = (random.integers(vocab_size, size=(ROWS, LENGTH)) for _ in range(2))
    targets[0, LENGTH // 2:] = IGNORE
    return inputs, targets
