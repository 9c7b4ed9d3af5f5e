"""The training step: losses and gradients of one or more batches, then one update of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tinylm.text.rows import Batch
from tinylm.training.backend import TrainingBackend
from tinylm.training.loss import count_targets
from tinylm.training.optimizer import Optimizer


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
    n_targets = max(1, count_targets(batches))
    nats = [backend.backward(*batch, n_targets, dropout_seed + i) for i, batch in enumerate(batches)]
    loss = torch.stack(nats).sum() / n_targets
    norms = _gradient_norms(model)
    norm = torch.linalg.vector_norm(norms)
    applied = bool(torch.isfinite(norm) & torch.isfinite(loss))
    if applied and grad_clip:
        nn.utils.clip_grads_with_norm_(model.parameters(), grad_clip, norm)
    for optimizer in optimizers:
        if applied:
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return StepResult(loss.item(), norm.item(), norms.tolist(), applied)


def _gradient_norms(model: nn.Module) -> Tensor:
    """The norm of each trained parameter's gradient, 0 where it has none."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = [torch.zeros((), device=p.device) if p.grad is None else p.grad for p in trained]
    return torch.stack(torch._foreach_norm(gradients))
