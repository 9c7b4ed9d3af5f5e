"""Heads and MLPs one by one: where each head looks on a text that repeats itself, and the loss without each part.

Axis letters: B batch, T positions, H heads, S keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinylm.inspection.interventions import ablate, mean_activations
from tinylm.inspection.places import heads_and_mlps
from tinylm.inspection.structure import flops_per_token
from tinylm.inspection.trace import trace
from tinylm.model.taps import Hook, hooked
from tinylm.model.threads import threads_for, torch_threads
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import IGNORE, Batch
from tinylm.training.evaluate import evaluate

REPEATED_TOKENS, REPEATED_ROWS = 32, 4
"""The random tokens that are repeated once, at most, and the number of such texts."""


@dataclass(frozen=True)
class HeadScore:
    """The habits of a head, as shares of its attention from 0 to 1; None where the context is too short to tell.

    Attributes:
        layer, head: which one.
        previous_token: what goes to the position before.
        induction: what goes to the token after an earlier occurrence of the current one. A head that looks there can
            go on with what it has seen once: an induction head (Olsson et al. 2022, arXiv 2209.11895).
    """

    layer: int
    head: int
    previous_token: float | None
    induction: float | None


def repeated_ids(candidates: Sequence[int], context_length: int, start: int | None = None) -> NDArray[np.int64] | None:
    """Makes texts of random tokens that are repeated once, always the same ones: no head knows them by heart.

    Args:
        candidates: the ids that may occur; each occurs in a text at most once, and then again.
        context_length: of the model.
        start: an id before the text; None: none.

    Returns:
        ids (B, T); None where fewer than two tokens fit.

    >>> ids = repeated_ids(range(3, 9), 8, start=1)
    >>> ids.shape, ids[:, 0].tolist(), (ids[:, 1:4] == ids[:, 4:]).all().item()
    ((4, 7), [1, 1, 1, 1], True)
    """
    before = [] if start is None else [start]
    count = min(REPEATED_TOKENS, (context_length - len(before)) // 2, len(candidates))
    if count < 2:
        return None
    random = np.random.default_rng(0)
    drawn = [random.permutation(np.asarray(candidates, np.int64))[:count] for _ in range(REPEATED_ROWS)]
    return np.stack([np.concatenate([before, ids, ids]) for ids in drawn]).astype(np.int64)


def head_scores(model: TinyLM, ids: NDArray[np.int64] | None, hooks: Sequence[Hook] = ()) -> list[HeadScore]:
    """Measures the habits of every head.

    Args:
        ids: of `repeated_ids`, which both scores are the mean over; None gives no scores.
        hooks: interventions.

    >>> from tinylm import ModelConfig
    >>> model = TinyLM(ModelConfig(vocab_size=9, n_layers=1, n_heads=2))
    >>> [(score.layer, score.head) for score in head_scores(model, repeated_ids(range(3, 9), 8))]
    [(0, 0), (0, 1)]
    """
    config = model.config
    heads = [(layer, head) for layer in range(config.n_layers) for head in range(config.n_heads)]
    if ids is None:
        return [HeadScore(layer, head, None, None) for layer, head in heads]
    activations = trace(model, torch.from_numpy(ids), hooks)
    count = ids.shape[1] // 2
    previous, induction = {}, {}
    for layer in range(config.n_layers):
        pattern = activations[f"layers.{layer}.attn.pattern"]  # (B, H, T, S)
        previous[layer] = _mean_diagonal(pattern, 1)
        induction[layer] = _mean_diagonal(pattern[..., -count:, :], 2 * count - pattern.shape[-1] - 1)
    return [HeadScore(layer, head, previous[layer][head], induction[layer][head]) for layer, head in heads]


def _mean_diagonal(pattern: Tensor, offset: int) -> list[float]:
    """The mean of the entries `offset` below the diagonal, (B, H, T, S) -> H."""
    means: list[float] = torch.diagonal(pattern, -offset, -2, -1).mean(dim=(0, 2)).tolist()
    return means


@dataclass(frozen=True)
class PartEffect:
    """The effect of a part on a loss.

    Attributes:
        part: `L.H` for a head, `L.mlp`.
        loss: without it, in nats a token.
        difference: to the loss with it; what is above 0 is what the part is good for.
    """

    part: str
    loss: float
    difference: float


def loss_of(model: TinyLM, batches: Sequence[Batch], hooks: Sequence[Hook] = ()) -> float:
    """The loss in nats a token, of the whole of these batches. Targets that are `IGNORE` do not count."""
    length = max(inputs.shape[1] for inputs, _ in batches)
    largest = max(inputs.size for inputs, _ in batches) * flops_per_token(model.config, length)
    with torch_threads(threads_for(largest)), hooked(model, *hooks):
        nats, tokens = evaluate(model, batches)
    return nats / max(1, tokens)


def part_effects(model: TinyLM, batches: Sequence[Batch], *, mean: bool = False,
                 hooks: Sequence[Hook] = ()) -> tuple[float, list[PartEffect]]:
    """Measures the loss in nats a token as it is, and without each head and each MLP.

    Args:
        batches: the text that is measured on.
        mean: a part that is off gives the mean of what it gives on this text; false: zero.
        hooks: interventions that hold as well.

    >>> from tinylm import ModelConfig
    >>> model = TinyLM(ModelConfig.preset("notebook", vocab_size=12))
    >>> loss, effects = part_effects(model, [(np.array([[1, 5, 7]]), np.array([[5, 7, 2]]))])
    >>> [effect.part for effect in effects]
    ['0.0', '0.1', '0.mlp', '1.0', '1.1', '1.mlp']
    """
    whole, effects = loss_of(model, batches, hooks), []
    means = text_means(model, batches, hooks) if mean else None
    for place in heads_and_mlps(model.config):
        loss = loss_of(model, batches, [*hooks, ablate([place], means)])
        effects.append(PartEffect(place.name, loss, loss - whole))
    return whole, effects


def text_means(model: TinyLM, batches: Iterable[Batch], hooks: Sequence[Hook] = ()) -> dict[str, Tensor]:
    """The mean of each activation over a text, for `ablate`; padding does not count."""
    sums: dict[str, Tensor] = {}
    total = 0
    for inputs, targets in batches:
        counts = torch.from_numpy(targets != IGNORE)
        count = int(counts.sum())
        if not count:
            continue
        activations = trace(model, torch.from_numpy(inputs), hooks)
        for name, mean in mean_activations(activations, counts).items():
            sums[name] = sums.get(name, 0) + mean * count
        total += count
    return {name: each / total for name, each in sums.items()}
