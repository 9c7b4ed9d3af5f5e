"""The loss of a batch. Axis letters: B batch, T positions, V vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from tinylm.text.rows import IGNORE

Batch = tuple[Tensor, Tensor]
"""Inputs and targets, (B, T) int64 each."""


def total_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy summed over every position that has a target: (B, T, V), (B, T) -> () in nats."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum")


def count_targets(batches: Sequence[Batch]) -> int:
    return int(sum((targets != IGNORE).sum() for _, targets in batches))
