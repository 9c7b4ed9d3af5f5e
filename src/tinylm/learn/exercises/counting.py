"""Exercises of page 2, counting first."""

from __future__ import annotations

import math

from tinylm.evaluation.baselines import uniform
from tinylm.evaluation.entropy import entropy_of
from tinylm.evaluation.report import perplexity_of
from tinylm.learn.exercise import Exercise, Mistake, ValueExercise
from tinylm.learn.facts import n_bytes, n_padded, n_tokens, word_tokenizer
from tinylm.text.reading.built_in import HELLO
from tinylm.text.units import bits_per_byte

LOSS = 0.2399
"""Of the notebook's model, in nats a token: README.md."""


def guessing() -> float:
    """The loss of a guess among the entries of hello's vocabulary, in nats a token."""
    return uniform(word_tokenizer().vocab_size, n_tokens=1)


def lowest() -> float:
    """The lowest loss possible on hello, in nats in all."""
    return entropy_of(list(HELLO))


EXERCISES: tuple[Exercise, ...] = (
    ValueExercise(
        "2.1", "What is the loss, in nats a token, of a model that only guesses among the 12 entries of the "
        "vocabulary?",
        "LOSS",
        ("A guess gives each of the 12 entries the probability 1/12, whatever came before.",
         "The loss is -ln(1/12), which is ln 12."),
        lambda: (guessing(),),
        (Mistake(lambda: (math.log2(12),), "That is in bits: nats take the natural logarithm, math.log."),
         Mistake(lambda: (12.0,), "That is the perplexity, e to the loss; the loss is its logarithm."),
         Mistake(lambda: (1 / 12,), "That is the probability of each entry; the loss is minus its logarithm."))),
    ValueExercise(
        "2.2", f"A model of `hello` has a loss of {LOSS} nats a token. The text has 26 tokens and 76 bytes. How many "
               f"bits a "
        "byte is that, and what is the perplexity?", "BITS,PERPLEXITY",
        ("First the loss of the whole text in nats; a bit is ln 2 nats; then share it among the bytes.",
         f"{LOSS} * 26 / ln 2 / 76, and e to the power of {LOSS}."),
        lambda: (bits_per_byte(LOSS * n_tokens(), n_bytes()), perplexity_of(LOSS)),
        (Mistake(lambda: (LOSS * n_tokens() / n_bytes(), perplexity_of(LOSS)),
                 "That is nats a byte: divide by ln 2, the nats of a bit."),
         Mistake(lambda: (LOSS / math.log(2), perplexity_of(LOSS)),
                 "That is bits a token: 26 tokens share 76 bytes."),
         Mistake(lambda: (bits_per_byte(LOSS * n_tokens(), n_bytes()), 2**LOSS),
                 "Nats belong to e: the perplexity is e to the power of the loss."))),
    ValueExercise(
        "2.3", "What is the lowest loss possible on the four sentences of `hello`, in nats a token?", "LOSS",
        ("Only two things are open: how a sentence begins, and whether `are` or `is` comes after `how`. The rest is "
         "certain and costs nothing.",
         "Each of the four sentences costs two choices of one in two: 8 ln 2 for all, and there are 26 tokens."),
        lambda: (lowest() / n_tokens(),),
        (Mistake(lambda: (lowest() / n_padded(),),
                 "These are the 32 places of a padded batch: 6 of them are <pad>, and are no tokens of the text."),
         Mistake(lambda: (0.0,), "A sentence may begin with `hello` or with `how`: nobody can know, so it costs."),
         Mistake(lambda: (lowest(),), "That is the loss of all tokens together: divide by 26."),
         Mistake(lambda: (lowest() / math.log(2) / n_tokens(),), "That is in bits: nats take the natural logarithm."))),
)
