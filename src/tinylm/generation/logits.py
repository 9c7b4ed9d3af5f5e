"""From logits to the next id: filters, each a pure function (V,) -> (V,), in one order.

    repetition penalty -> temperature -> top-k -> top-p -> min-p -> softmax -> draw        (or greedy: the most likely)

A filter takes an id out by setting its logit to -inf. V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tinylm.config import SampleConfig
from tinylm.errors import TinyLMError

Logits = NDArray[np.float32]


def penalise_repetition(logits: Logits, ids: Sequence[int], penalty: float) -> Logits:
    """Makes every id that occurs in `ids` less likely: a positive logit is divided by `penalty`, a negative one
    multiplied (Keskar et al. 2019, arXiv 1909.05858)."""
    if penalty == 1 or not ids:
        return logits
    seen = np.array(sorted(set(ids)))
    penalised, values = logits.copy(), logits[seen]
    penalised[seen] = np.where(values > 0, values / np.float32(penalty), values * np.float32(penalty))
    return penalised


def keep_top_k(logits: Logits, k: int) -> Logits:
    """Keeps the k most likely ids, and those that tie with the last of them; 0 keeps all."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    return _without(logits, logits < np.partition(logits, -k)[-k])


def keep_top_p(logits: Logits, p: float) -> Logits:
    """Keeps the fewest likeliest ids whose probabilities reach p together (Holtzman et al. 2019, arXiv 1904.09751)."""
    if p >= 1:
        return logits
    order = np.argsort(-logits, kind="stable")
    shares = probabilities(logits)[order]
    unlikely = np.zeros(len(logits), np.bool_)
    unlikely[order] = np.cumsum(shares) - shares >= p
    return _without(logits, unlikely)


def keep_min_p(logits: Logits, p: float) -> Logits:
    """Keeps the ids at least p times as likely as the most likely one (Nguyen et al. 2024, arXiv 2407.01082)."""
    if p == 0:
        return logits
    return _without(logits, logits < logits.max() + np.float32(math.log(p)))


def filter_logits(logits: Logits, config: SampleConfig, ids: Sequence[int] = ()) -> Logits:
    """All filters in order: (V,) -> (V,). `ids` is the text so far."""
    logits = penalise_repetition(logits, ids, config.repetition_penalty)
    logits = keep_top_k(logits / np.float32(config.temperature), config.top_k)
    return keep_min_p(keep_top_p(logits, config.top_p), config.min_p)


def choose(logits: Logits, config: SampleConfig, ids: Sequence[int], generator: np.random.Generator) -> int:
    """The next id: the most likely one if greedy, else a draw from what the filters leave. (V,) -> id.

    Raises:
        TinyLMError: a temperature or penalty so extreme that no probability is left.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if config.greedy:
            return int(penalise_repetition(logits, ids, config.repetition_penalty).argmax())
        probs = probabilities(filter_logits(logits, config, ids))
    if not np.isfinite(probs).all():
        raise TinyLMError("these settings leave no probabilities to draw from", where="temperature, repetition_penalty",
                          remedy="Give values nearer to 1, or draw nothing: --greedy")
    reached = np.cumsum(probs)
    return int(np.searchsorted(reached, generator.random() * reached[-1], side="right"))


def probabilities(logits: Logits) -> NDArray[np.float64]:
    """The softmax: (V,) -> (V,)."""
    shares = np.exp(logits - logits.max(), dtype=np.float64)
    found: NDArray[np.float64] = shares / shares.sum()
    return found


def _without(logits: Logits, unlikely: NDArray[np.bool_]) -> Logits:
    return np.where(unlikely, np.float32(-np.inf), logits)
