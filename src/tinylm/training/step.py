"""One step: the loss of a batch, its gradients, one update.

Axis letters: B batch, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from tinylm.text.rows import IGNORE

Batch = tuple[Tensor, Tensor]
"""Inputs and targets, (B, T) int64 each."""


def total_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy summed over every position that has a target: (B, T, V), (B, T) -> () in nats."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum")


def count_targets(batches: Sequence[Batch]) -> int:
    return int(sum((targets != IGNORE).sum() for _, targets in batches))


class StepResult(NamedTuple):
    """Loss in nats a token; the norm of the gradient before clipping, whole and by parameter, in the model's order; and
    whether the update was made."""

    loss: float
    gradient_norm: float
    gradient_norms: list[float]
    applied: bool


def train_step(model: nn.Module, optimizers: Sequence[Optimizer], batches: Sequence[Batch], *, grad_clip: float = 0.0,
               dropout_seed: int = 0) -> StepResult:
    """One update from one or more batches, whose gradients add up to that of their mean loss a token.

    An update that is not finite is not made: the weights stay as they were.

    Args:
        grad_clip: largest norm of the gradient; 0 never clips.
        dropout_seed: dropout is a pure function of it, so a step can be repeated exactly.
    """
    n_targets = max(1, count_targets(batches))
    loss = torch.zeros((), device=batches[0][0].device)
    with _dropout_from(dropout_seed, model):
        for inputs, targets in batches:
            part = total_loss(model(inputs), targets) / n_targets
            part.backward()
            loss += part.detach()
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


@contextmanager
def _dropout_from(seed: int, model: nn.Module) -> Iterator[None]:
    """Dropout draws from torch's global generator: seeded here, and put back as it was."""
    if not any(isinstance(m, nn.Dropout) and m.p > 0 for m in model.modules()):
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
