"""How well a model predicts a text it has not seen, in nats a token and in bits a byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tinylm.model.dropout import without_dropout
from tinylm.text.rows import IGNORE, Batch
from tinylm.training.loss import total_loss

LossOf = Callable[[NDArray[np.int64], NDArray[np.int64]], float]
"""The summed loss in nats of inputs and targets, (B, T) each."""


class Interrupted(Exception):
    """The evaluation was asked to stop before its end."""


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[Batch], *, device: torch.device | str = "cpu",
             should_stop: Callable[[], bool] = lambda: False, loss_of: LossOf | None = None) -> tuple[float, int]:
    """Every target of `batches` once, dropout off.

    Args:
        loss_of: a quicker way to the loss of this model; None: its own forward pass.

    Returns:
        the sum of the losses in nats, and the number of tokens.

    Raises:
        Interrupted: `should_stop()` became true between two batches.
    """
    nats, tokens = 0.0, 0
    with without_dropout(model):
        for inputs, targets in batches:
            if should_stop():
                raise Interrupted
            nats += loss_of(inputs, targets) if loss_of else _loss(model, inputs, targets, device)
            tokens += int((targets != IGNORE).sum())
    return nats, tokens


def _loss(model: nn.Module, inputs: NDArray[np.int64], targets: NDArray[np.int64], device: torch.device | str) -> float:
    logits = model(torch.from_numpy(inputs).to(device))
    return total_loss(logits, torch.from_numpy(targets).to(device)).item()
