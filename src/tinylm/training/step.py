"""The training step: losses and gradients of one or more batches, then one update of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tinylm.errors import TinyLMError
from tinylm.model.device import is_out_of_memory
from tinylm.text.rows import Batch
from tinylm.training.backend import TrainingBackend
from tinylm.training.loss import count_targets
from tinylm.training.optimizer import Optimizer

LOSS_SCALES = {torch.float16: (2.0**12, 2.0**8, 2.0**4, 1.0)}
"""By the dtype of products, factors of the loss, tried in turn until the gradient is finite; other dtypes have the
range for a loss as it is. Small numbers vanish in float16, and large ones overflow (Micikevicius et al. 2017, arXiv
1710.03740). Every step begins with the same factor, so that no state has to be saved."""


class StepResult(NamedTuple):
    """The result of a step.

    Attributes:
        loss: before the update, in nats a token.
        gradient_norm: of the whole gradient, before clipping.
        gradient_norms: by trained parameter, in the model's order.
        applied: false if a number was not finite and the weights are therefore unchanged.
    """

    loss: float
    gradient_norm: float
    gradient_norms: list[float]
    applied: bool


def train_step(model: nn.Module, optimizers: Sequence[Optimizer], batches: Sequence[Batch], *, grad_clip: float = 0.0,
               dropout_seed: int = 0, backend: TrainingBackend | None = None) -> StepResult:
    """Makes one update from one or more batches, whose gradients add up to that of their mean loss a token.

    An update that is not finite is not made: the weights stay as they were.

    Args:
        model: (B, T) ids -> (B, T, V) logits.
        optimizers: of the model's trained parameters.
        batches: inputs and targets, (B, T) int64 arrays each.
        grad_clip: largest norm of the gradient; 0 never clips.
        dropout_seed: dropout is a pure function of it, so a step can be repeated exactly.
        backend: computes the gradients; None: the reference, autograd.

    >>> import numpy as np
    >>> from tinylm import ModelConfig, TinyLM
    >>> from tinylm.config.schema import TrainConfig
    >>> from tinylm.training.optimizer import make_optimizers
    >>> model = TinyLM(ModelConfig(vocab_size=4, d_model=8, n_layers=1, n_heads=1))
    >>> optimizers = make_optimizers(model, TrainConfig(steps=2))
    >>> batch = np.array([[1, 2, 3]]), np.array([[2, 3, 1]])
    >>> first, second = (train_step(model, optimizers, [batch]) for _ in range(2))
    >>> first.applied, second.loss < first.loss
    (True, True)
    """
    backend = backend or TrainingBackend(model)
    for loss_scale in LOSS_SCALES.get(backend.dtype, (1.0,)):
        loss, norm, norms = _gradients(model, batches, dropout_seed, backend, loss_scale)
        # one read, for a GPU that is asked for a number has nothing to do until the next call
        told = torch.cat([loss.reshape(1), norm.reshape(1), norms]).tolist()
        if applied := math.isfinite(told[0]) and math.isfinite(told[1]):
            break
        model.zero_grad(set_to_none=True)
    if applied and grad_clip:
        nn.utils.clip_grads_with_norm_(model.parameters(), grad_clip, norm)
    for optimizer in optimizers:
        if applied:
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return StepResult(told[0], told[1], told[2:], applied)


def _gradients(model: nn.Module, batches: Sequence[Batch], dropout_seed: int, backend: TrainingBackend,
               loss_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Computes the gradients of the mean loss, which is multiplied by `loss_scale` on the way.

    Returns:
        the mean loss in nats a token (), the norm of the whole gradient (), and of each trained parameter's, 0 where it
        has none.
    """
    n_targets = max(1, count_targets(batches))
    nats = backend.backward(batches, n_targets / loss_scale, dropout_seed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if loss_scale != 1:
        torch._foreach_mul_([p.grad for p in trained if p.grad is not None], 1 / loss_scale)
    gradients = [torch.zeros((), device=p.device) if p.grad is None else p.grad for p in trained]
    norms = torch.stack(torch._foreach_norm(gradients))
    return nats / n_targets, torch.linalg.vector_norm(norms), norms


@contextmanager
def explain_out_of_memory(batch_size: int, gradient_accumulation: int) -> Iterator[None]:
    """Turns errors by which memory ran out within the block, on any device, into one that says what to do.

    Args:
        batch_size, gradient_accumulation: of the steps within the block.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        rows = batch_size // 2
        smaller = (f"Try --set train.batch_size={rows} "
                   f"--set train.gradient_accumulation={gradient_accumulation * batch_size // rows}" if rows else
                   "Try a smaller model or a shorter context")
        raise TinyLMError("memory ran out in a training step", where=f"batches of {batch_size} rows",
                          remedy=smaller) from error
