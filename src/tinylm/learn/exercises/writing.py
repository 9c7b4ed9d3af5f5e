"""Exercises of page 9, writing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tinylm.learn.exercise import Answer, Exercise, Mistake, ValueExercise
from tinylm.sampling.predictions import log_softmax

LOGITS, TEMPERATURES, TOP_P = (2.0, 1.0, 0.0), (0.5, 1.0, 2.0), 0.8
PROMPT, NEW = 7, 15


def probabilities(temperature: float) -> NDArray[np.float64]:
    """The probabilities of the three logits at a temperature."""
    found: NDArray[np.float64] = np.exp(log_softmax(np.array(LOGITS, np.float32) / np.float32(temperature)))
    return found


def likeliest() -> Answer:
    return tuple(float(probabilities(temperature)[0]) for temperature in TEMPERATURES)


def kept(temperature: float) -> float:
    """Counts the tokens that top-p keeps, the fewest whose probabilities reach it together: the logits are in order."""
    return 1.0 + int((probabilities(temperature).cumsum() < TOP_P).sum())


def positions_without_cache() -> float:
    return float(sum(PROMPT + written for written in range(NEW)))


EXERCISES: tuple[Exercise, ...] = (
    ValueExercise(
        "9.1", "Three tokens have the logits 2, 1 and 0. What is the probability of the first at the temperatures "
        "0.5, 1 and 2?",
        "P,P,P",
        ("Divide the logits by the temperature, then take the softmax.",
         "At 0.5 the logits are 4, 2, 0: e^4 / (e^4 + e^2 + 1)."),
        likeliest,
        (Mistake(lambda: likeliest()[::-1], "The other way round: a high temperature makes the probabilities alike."),
         Mistake(lambda: (likeliest()[1],) * 3, "The temperature divides the logits, before the softmax."))),
    ValueExercise(
        "9.2", "The same logits with top-p 0.8: how many tokens are left to choose from at the temperatures 0.5, 1 "
        "and 2?", "N,N,N",
        ("The likeliest tokens, one after the other, until their probabilities reach 0.8 together.",
         "At 0.5 the first alone has 0.867. At 1 the first two have 0.910."),
        lambda: tuple(kept(temperature) for temperature in TEMPERATURES),
        (Mistake(lambda: (1.0, 1.0, 1.0), "The last one that is needed to reach 0.8 is kept, too."),
         Mistake(lambda: (1.0, 2.0, 3.0), "At 2 the first two have 0.814 together, which is enough."))),
    ValueExercise(
        "9.3", "A prompt has 7 tokens, and 15 new ones are written. How many positions does the model compute without "
        "the "
        "key/value cache, and how many with it?", "WITHOUT,WITH",
        ("Without it, the first new token takes 7 positions, the second 8, ... With it, each position is computed "
         "once; the "
         "last new token need not be read.",
         "7 + 8 + ... + 21, and 7 + 14"),
        lambda: (positions_without_cache(), float(PROMPT + NEW - 1)),
        (Mistake(lambda: (positions_without_cache(), float(PROMPT + NEW)),
                 "The last token is written and never read: nothing comes after it."),
         Mistake(lambda: (float(PROMPT * NEW), float(PROMPT + NEW - 1)), "The text grows by one with each token."),
         Mistake(lambda: (math.comb(PROMPT + NEW, 2) * 1.0, float(PROMPT + NEW - 1)),
                 "The prompt is there from the beginning: the first pass has 7 positions."))),
)
