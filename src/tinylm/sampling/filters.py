"""Filters: pure functions of the logits, (V,) -> (V,), applied in one order and compiled into one call, `choose`.

    ban, bias -> repetition, frequency and presence penalties -> temperature -> top-k -> top-p -> min-p -> typical
    -> softmax -> one uniform number decides                              (greedy: the likeliest after the penalties)

A filter takes an id out by setting its logit to -inf. The vocabulary is never sorted: top-k, top-p and typical each
need one threshold, which is found by quickselect (Hoare 1961). Ids that tie with the last one kept are kept, too.

Axis letter: V vocabulary
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.jit.compile import kernel, part
from tinylm.jit.functions import exp, maximum

Logits = NDArray[np.float32]
Counts = NDArray[np.int32]
EXCLUDED, ZERO = np.float32(-np.inf), np.float32(0)
_LOWEST = np.float32(-87)
"""The logarithm below which a probability is zero in 32 bits."""
COMPILING = "the choice of tokens for this processor"
"""The words of the announcement before `choose` is compiled."""
NOTHING_LEFT, NOT_FINITE = -1, -2
"""Codes that `choose` returns instead of an id."""


class SamplingParams(NamedTuple):
    """The parameters of the filters, in the filters' order. The defaults leave the logits as they are.

    Meaning and bounds: `SampleConfig`.
    """

    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    greedy: bool = False


@part
def apply_penalties(logits: Any, counts: Any, repetition: Any, frequency: Any, presence: Any) -> Any:
    """Makes ids that have occurred less likely.

    Args:
        counts: (V,), the number of times that each id has occurred.
        repetition: divides a positive logit and multiplies a negative one (Keskar et al. 2019, arXiv 1909.05858).
        frequency: is subtracted once for each time.
        presence: is subtracted once.
    """
    penalised = np.empty_like(logits)
    for id in range(len(logits)):
        value, count = logits[id], counts[id]
        if count > 0:
            value = value / np.float32(repetition) if value > ZERO else value * np.float32(repetition)
            value -= np.float32(frequency) * np.float32(count) + np.float32(presence)
        penalised[id] = value
    return penalised


@part
def apply_temperature(logits: Any, temperature: Any) -> Any:
    """Divides the logits by the temperature, counted from the largest logit, so that no temperature is too low."""
    return (logits - peak(logits)) / np.float32(max(temperature, 1e-30))


@part
def keep_top_k(logits: Any, k: Any) -> Any:
    """Keeps the k likeliest ids; 0 keeps all."""
    if k == 0 or k >= len(logits):
        return logits
    return _kept(logits, logits, threshold(logits, np.ones_like(logits), k))


@part
def keep_top_p(logits: Any, p: Any) -> Any:
    """Keeps the fewest likeliest ids whose probabilities reach p together (Holtzman et al. 2019, arXiv 1904.09751)."""
    if p >= 1:
        return logits
    return _kept(logits, logits, threshold(logits, softmax(logits), p))


@part
def keep_min_p(logits: Any, p: Any) -> Any:
    """Keeps the ids at least p times as likely as the likeliest one (Nguyen et al. 2024, arXiv 2407.01082)."""
    if p == 0:
        return logits
    return _kept(logits, logits, peak(logits) + np.float32(math.log(p)))


@part
def keep_typical(logits: Any, p: Any) -> Any:
    """Keeps the ids whose surprise, -log p, is nearest to the entropy, until their probabilities reach p together
    (locally typical sampling: Meister et al. 2022, arXiv 2202.00666)."""
    if p >= 1:
        return logits
    probs = softmax(logits)
    entropy = ZERO
    for id in range(len(probs)):
        if probs[id] > 0:
            entropy -= probs[id] * np.float32(math.log(probs[id]))
    nearness = np.empty_like(logits)
    for id in range(len(probs)):
        nearness[id] = -abs(np.float32(math.log(probs[id])) + entropy) if probs[id] > 0 else EXCLUDED
    return _kept(logits, nearness, threshold(nearness, probs, p))


@part
def apply_filters(logits: Any, params: Any) -> Any:
    """Applies the temperature and the filters after it, in their order."""
    logits = keep_top_k(apply_temperature(logits, params.temperature), params.top_k)
    return keep_typical(keep_min_p(keep_top_p(logits, params.top_p), params.min_p), params.typical_p)


@part
def softmax(logits: Any) -> Any:
    """The probabilities of the logits; that of -inf is 0."""
    highest, total = peak(logits), ZERO
    shares = np.empty_like(logits)
    for id in range(len(logits)):
        x = logits[id] - highest
        shares[id] = exp(x) if x > _LOWEST else ZERO
        total += shares[id]
    return shares / total


@part
def draw(probs: Any, uniform: Any) -> Any:
    """The first id at which the cumulative sum of the probabilities passes `uniform` (0 to 1) of the whole sum."""
    total = 0.0
    for id in range(len(probs)):
        total += probs[id]
    target, reached, last = uniform * total, 0.0, 0
    for id in range(len(probs)):
        if probs[id] > 0:
            reached, last = reached + probs[id], id
            if reached > target:
                break
    return last


@kernel
def choose(logits: Any, bias: Any, counts: Any, params: Any, uniform: Any) -> Any:
    """The next id; NOTHING_LEFT where every id is banned; NOT_FINITE where a penalty leaves no finite number.

    Args:
        logits: (V,).
        bias: (V,), added to the logits; -inf bans.
        counts: (V,), the number of times that each id has occurred in the text so far.
        params: `SamplingParams`.
        uniform: a random number, 0 <= uniform < 1, which decides the draw.
    """
    logits = apply_penalties(logits + bias, counts, params.repetition_penalty, params.frequency_penalty,
                             params.presence_penalty)
    highest = peak(logits)
    if highest == EXCLUDED:
        return NOTHING_LEFT
    if not np.isfinite(highest):
        return NOT_FINITE
    if params.greedy:
        return int(first(logits, highest))
    return int(draw(softmax(apply_filters(logits, params)), uniform))


@part
def threshold(values: Any, masses: Any, enough: Any) -> Any:
    """The largest value such that the masses of all values at least as large reach `enough`; the smallest value where
    the masses of all together do not.

    A round halves the values that are still in question, so each is looked at about three times (quickselect).
    """
    values, masses, missing, count = values.copy(), masses.copy(), np.float64(enough), len(values)
    while True:
        pivot = values[count // 2]
        above, level = np.float64(0), np.float64(0)
        for index in range(count):
            above += masses[index] if values[index] > pivot else ZERO
            level += masses[index] if values[index] == pivot else ZERO
        upwards, left = above >= missing, 0
        for index in range(count):  # every value is written, and `left` moves on for those that stay: no branch
            value, mass = values[index], masses[index]
            values[left], masses[left] = value, mass
            left += (value > pivot) if upwards else (value < pivot)
        if not upwards:
            if above + level >= missing or left == 0:
                return pivot
            missing -= above + level
        count = left


@part
def peak(logits: Any) -> Any:
    """The largest logit; NaN where there is one."""
    highest, sound = EXCLUDED, True
    for id in range(len(logits)):
        highest = maximum(highest, logits[id])
        sound &= logits[id] == logits[id]
    return highest if sound else np.float32(np.nan)


@part
def first(logits: Any, value: Any) -> Any:
    """The lowest id with this logit."""
    found = len(logits)
    for id in range(len(logits)):
        found = min(found, id if logits[id] == value else len(logits))
    return found


@part
def _kept(logits: Any, values: Any, least: Any) -> Any:
    """The logits of the ids whose value is at least `least`."""
    kept = np.empty_like(logits)
    for id in range(len(logits)):
        kept[id] = logits[id] if values[id] >= least else EXCLUDED
    return kept
