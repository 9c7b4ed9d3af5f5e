"""Exercises of page 10, inside yours."""

from __future__ import annotations

import math

from tinylm.evaluation.entropy import pair_entropy
from tinylm.learn.exercise import Condition, Exercise, Found, Mistake, RunExercise, ValueExercise
from tinylm.learn.exercises.attention import floor
from tinylm.learn.facts import encoded, n_tokens
from tinylm.text.reading.built_in import ANIMALS

DIFFERENCE = 2.0
WITHIN = 0.02
"""Nats a token above the lowest loss possible, within which a model has learned all that there is."""


def pairs() -> float:
    """The lowest loss of a table of pairs on the animals, in nats a token."""
    return pair_entropy(encoded(ANIMALS)) / n_tokens(ANIMALS)


def without_heads(found: Found) -> float:
    """The loss of a model with all heads off, in nats a token."""
    return found.lm.explainer.effect("attn").parts[0].loss


EXERCISES: tuple[Exercise, ...] = (
    ValueExercise(
        "10.1", "The notebook's model has no positions. With all heads off, each position sees its own token alone. "
        "What is the "
        "lowest loss that it can have on `animals` then, in nats a token?", "LOSS",
        ("It is a table of pairs: which tokens can follow `the`, and which can follow `says`?",
         "Two open choices of one in three in each sentence of 6 tokens."),
        lambda: (pairs(),),
        (Mistake(lambda: (floor(),), "That is with heads, which can look back to the animal. Without them the word "
                                     "after "
                                     "`says` is open, too."),
         Mistake(lambda: (pairs() * 6,), "That is for a sentence: divide by its 6 tokens."))),
    RunExercise(
        "10.2", "Train a model of `animals` that is within 0.02 nats of the lowest loss possible, and that needs its "
        "heads for it: "
        "give its folder.", "RUN",
        ("The notebook's preset does it, if it may train longer than its 200 epochs.", "`--epochs 400`"),
        (Condition(lambda found: found.lm.config.data.source == "animals", "This model was not trained on `animals`."),
         Condition(lambda found: found.lm.config.model.causal, "This model has no mask: it sees what it is to "
         "predict."),
         Condition(lambda found: found.report.loss <= floor() + WITHIN,
                   "Its loss is not within 0.02 of the lowest possible yet: train it longer."),
         Condition(lambda found: without_heads(found) > found.report.loss,
                   "Without its heads it is as good: then it has not used them.")),
        lambda found: f"Its loss is {found.report.loss:.4f} nats a token, and {without_heads(found):.4f} with its "
                      f"heads off; "
                      f"a table of pairs cannot be below {pairs():.4f}.",
        ("tinylm train animals --preset notebook --epochs 400 --out runs/animals",
         "tinylm learn check 10.2 runs/animals")),
    ValueExercise(
        "10.3", "The contributions of all parts to the difference of two logits sum to 2. How many times as likely as "
        "the second "
        "token is the first?", "TIMES",
        ("Softmax takes e to the power of each logit; in the ratio of two probabilities the rest falls out.",
         "e to the power of the difference."),
        lambda: (math.exp(DIFFERENCE),),
        (Mistake(lambda: (DIFFERENCE,), "Logits are logarithms: take e to the power of the difference."),
         Mistake(lambda: (2**DIFFERENCE,), "Logits belong to e, not to 2."))),
)
