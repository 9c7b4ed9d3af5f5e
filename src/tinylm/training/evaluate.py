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
    """Measures the summed loss of every target of `batches`, without dropout. Where the backend's world has several
    ranks, they share the batches, and each gets the whole result.

    Args:
        model: (B, T) ids -> (B, T, V) logits.
        batches: inputs and targets, (B, T) int64 each; targets that are `IGNORE` do not count.
        backend: computes the losses of `model`; None: the reference, on the model's device.
        should_stop: asked before each batch; one rank gives up for all.

    Returns:
        the sum of the losses in nats, and the number of tokens.

    Raises:
        Interrupted: `should_stop()` became true.
    """
    backend = backend or TrainingBackend(model)
    losses, n_batches, tokens, world, stopped = list[Tensor](), 0, 0, backend.world, False
    with without_dropout(model):
        for inputs, targets in batches:
            if stopped := should_stop():
                break
            if n_batches % world.size == world.rank:
                losses.append(backend.loss(inputs, targets))
            n_batches += 1
            tokens += int((targets != IGNORE).sum())
    if any(asked for [asked] in world.gather([stopped])):
        raise Interrupted
    numbers = torch.stack(losses).tolist() if losses else []  # one read, so that a GPU need not wait at each batch
    by_rank = world.gather(numbers + [0.0] * (-(-n_batches // world.size) - len(numbers)))
    nats = 0.0
    for i in range(n_batches):
        nats += by_rank[i % world.size][i // world.size]
    return nats, tokens
