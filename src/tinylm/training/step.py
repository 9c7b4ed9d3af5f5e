"""One step: the loss of a batch, its gradients, one update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tinylm.training.backend import TrainingBackend
from tinylm.training.loss import Batch, count_targets
from tinylm.training.optimizer import Optimizer


class StepResult(NamedTuple):
    """Loss in nats a token; the norm of the gradient before clipping, whole and by parameter, in the model's order; and
    whether the update was made."""

    loss: float
    gradient_norm: float
    gradient_norms: list[float]
    applied: bool


def train_step(model: nn.Module, optimizers: Sequence[Optimizer], batches: Sequence[Batch], *, grad_clip: float = 0.0,
               dropout_seed: int = 0, backend: TrainingBackend | None = None) -> StepResult:
    """One update from one or more batches, whose gradients add up to that of their mean loss a token.

    An update that is not finite is not made: the weights stay as they were.

    Args:
        grad_clip: largest norm of the gradient; 0 never clips.
        dropout_seed: dropout is a pure function of it, so a step can be repeated exactly.
        backend: how gradients are computed; None: by the reference, autograd.
    """
    backend = backend or TrainingBackend(model)
    n_targets = max(1, count_targets(batches))
    nats = [backend(*batch, n_targets, dropout_seed + i) for i, batch in enumerate(batches)]
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
    """The norm of each parameter's gradient, 0 where it has none."""
    gradients = [torch.zeros((), device=p.device) if p.grad is None else p.grad for p in model.parameters()]
    return torch.stack(torch._foreach_norm(gradients))
