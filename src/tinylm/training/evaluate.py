"""The loss of a model on a text, in nats (text/units.py makes bits a byte of it, which compare across tokenizers)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from tinylm.model.dropout import without_dropout
from tinylm.text.rows import IGNORE, Batch
from tinylm.training.backend import TrainingBackend


class Interrupted(Exception):
    """An evaluation was asked to stop before its end."""


class Validator:
    """Measures the loss on one text again and again, as a run does between its steps.

    Args:
        batches: gives the batches of the text, the same ones in every validation.
        backend: computes the losses.

    Attributes:
        result: of the last validation: the summed loss in nats, and the number of tokens.
    """

    def __init__(self, model: nn.Module, batches: Callable[[], Iterable[Batch]],
                 backend: TrainingBackend | None = None) -> None:
        self._model, self._batches, self._backend = model, batches, backend
        self.result = 0.0, 0

    def __call__(self, should_stop: Callable[[], bool] = lambda: False) -> float:
        """Measures the loss in nats a token.

        Raises:
            Interrupted: `should_stop()` became true; `result` is then that of the validation before.
        """
        self.result = nats, tokens = evaluate(self._model, self._batches(), backend=self._backend,
                                              should_stop=should_stop)
        return nats / max(1, tokens)


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[Batch], *, backend: TrainingBackend | None = None,
             should_stop: Callable[[], bool] = lambda: False) -> tuple[float, int]:
    """Measures the summed loss of every target of `batches`, without dropout.

    Args:
        model: (B, T) ids -> (B, T, V) logits.
        batches: inputs and targets, (B, T) int64 each; targets that are `IGNORE` do not count.
        backend: computes the losses of `model`; None: the reference, on the model's device.
        should_stop: asked before each batch.

    Returns:
        the sum of the losses in nats, and the number of tokens.

    Raises:
        Interrupted: `should_stop()` became true.
    """
    backend = backend or TrainingBackend(model)
    losses, tokens = list[Tensor](), 0
    with without_dropout(model):
        for inputs, targets in batches:
            if should_stop():
                raise Interrupted
            losses.append(backend.loss(inputs, targets))
            tokens += int((targets != IGNORE).sum())
    nats = 0.0
    for loss in torch.stack(losses).tolist() if losses else ():  # one read, so that a GPU need not wait at each batch
        nats += loss
    return nats, tokens
