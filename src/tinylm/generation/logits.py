"""From logits to the next id: filters, each a pure function (V,) -> (V,), in one order.

    repetition penalty -> temperature -> top-k -> top-p -> min-p -> softmax -> draw        (or greedy: the most likely)

A filter takes an id out by setting its logit to -inf. V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tinylm.config import SampleConfig
from tinylm.errors import TinyLMError


def penalise_repetition(logits: Tensor, ids: Sequence[int], penalty: float) -> Tensor:
    """Makes every id that occurs in `ids` less likely: a positive logit is divided by `penalty`, a negative one
    multiplied (Keskar et al. 2019, arXiv 1909.05858)."""
    if penalty == 1 or not ids:
        return logits
    seen = torch.tensor(sorted(set(ids)), device=logits.device)
    values = logits[seen]
    return logits.index_copy(0, seen, torch.where(values > 0, values / penalty, values * penalty))


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keeps the k most likely ids, and those that tie with the last of them; 0 keeps all."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    return logits.masked_fill(logits < logits.topk(k).values[-1], -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keeps the fewest likeliest ids whose probabilities reach p together (Holtzman et al. 2019, arXiv 1904.09751)."""
    if p >= 1:
        return logits
    ordered, order = logits.sort(descending=True)
    before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
    return logits.index_fill(0, order[before >= p], -math.inf)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keeps the ids at least p times as likely as the most likely one (Nguyen et al. 2024, arXiv 2407.01082)."""
    if p == 0:
        return logits
    return logits.masked_fill(logits < logits.max() + math.log(p), -math.inf)


def filter_logits(logits: Tensor, config: SampleConfig, ids: Sequence[int] = ()) -> Tensor:
    """All filters in order: (V,) -> (V,). `ids` is the text so far."""
    logits = penalise_repetition(logits, ids, config.repetition_penalty)
    logits = keep_top_k(logits / config.temperature, config.top_k)
    return keep_min_p(keep_top_p(logits, config.top_p), config.min_p)


def choose(logits: Tensor, config: SampleConfig, ids: Sequence[int], generator: torch.Generator) -> int:
    """The next id: the most likely one if greedy, else a draw from what the filters leave. (V,) -> id.

    Raises:
        TinyLMError: a temperature or penalty so extreme that no probability is left.
    """
    if config.greedy:
        return int(penalise_repetition(logits, ids, config.repetition_penalty).argmax())
    probs = filter_logits(logits, config, ids).softmax(-1).cpu()
    if not probs.isfinite().all():
        raise TinyLMError("these settings leave no probabilities to draw from", where="temperature, repetition_penalty",
                          remedy="Give values nearer to 1, or draw nothing: --greedy")
    return int(torch.multinomial(probs, 1, generator=generator))
