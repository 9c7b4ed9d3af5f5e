"""The loss of a batch: cross-entropy. Axis letters: B batch, T positions, V vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from tinylm.text.rows import IGNORE, Batch


def total_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy summed over every position that has a target: (B, T, V), (B, T) -> () in nats.

    >>> import torch
    >>> total_loss(torch.zeros(1, 2, 4), torch.tensor([[3, IGNORE]]))  # log 4, once
    tensor(1.3863)
    """
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum")


def count_targets(batches: Sequence[Batch]) -> int:
    """Counts the positions that have a target, over all batches."""
    return int(sum((targets != IGNORE).sum() for _, targets in batches))
