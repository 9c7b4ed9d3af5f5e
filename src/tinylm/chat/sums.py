"""The built-in chat `sums`: arithmetic and little facts, made here, so that a chat can be tried without a file.

What is held out is held out by value: no wording of a held-out sum stands in the training part, nor of the same sum
turned round, nor of the differences that follow from it. So a right answer to it was worked out, and not remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tinylm.chat.conversation import Conversation, Message
from tinylm.chat.little_facts import FACTS, Fact, in_words

SEED = 1
HELD_OUT = 0.1
"""The share of two-digit families, of numbers in words, and of the ways in which facts are asked that are held out."""
FACTS_TIMES = 3
"""How often each wording of a fact, product or number in words stands in the training part, where sums are many."""
MAX_TURNS = 4
"""Questions in a conversation, at most."""

_PLUS = ("{0} + {1}", "{0}+{1}", "{0} + {1} = ?", "What is {0} + {1}?", "What is {0} plus {1}?", "what is {0}+{1}",
         "How much is {0} plus {1}?", "Add {0} and {1}.")
_MINUS = ("{0} - {1}", "{0}-{1}", "{0} - {1} = ?", "What is {0} - {1}?", "What is {0} minus {1}?", "what is {0}-{1}",
          "How much is {0} minus {1}?", "Subtract {1} from {0}.")
_TIMES = ("{0} x {1}", "{0}*{1}", "{0} * {1}", "What is {0} x {1}?", "What is {0} times {1}?",
          "How much is {0} times {1}?")
_IN_WORDS = ("Write {0} in words.", "How do you spell {0}?", "{0} in words")
_IN_FIGURES = ("Write {0} in figures.", "Which number is {0}?", "{0} in figures")


class Sums(NamedTuple):
    """The conversations to train on, and those held out, which have one question each.

    >>> made = make_sums()
    >>> [message.content for message in made.held_out[0]]
    ['87 + 21', '87 + 21 = 108']
    """

    training: list[Conversation]
    held_out: list[Conversation]


class _Pair(NamedTuple):
    question: str
    answer: str
    is_held_out: bool


def make_sums() -> Sums:
    """Makes all conversations: always the same ones, in the same order."""
    random = np.random.default_rng(SEED)
    facts = [*_products(), *_numbers(random), *_little_facts(random)]
    again = [pair for pair in facts if not pair.is_held_out] * (FACTS_TIMES - 1)
    pairs = [*_calculations(random), *facts, *again]
    mixed = [pairs[number] for number in random.permutation(len(pairs))]
    held_out = [[pair] for pair in mixed if pair.is_held_out]
    training = _grouped([pair for pair in mixed if not pair.is_held_out], random)
    return Sums([_conversation(group) for group in training], [_conversation(group) for group in held_out])


def _conversation(pairs: list[_Pair]) -> Conversation:
    return [message for pair in pairs
            for message in (Message("user", pair.question), Message("assistant", pair.answer))]


def _grouped(pairs: list[_Pair], random: np.random.Generator) -> Iterator[list[_Pair]]:
    """Yields the pairs in conversations of one question to four, so that a model knows a second question."""
    at = 0
    while at < len(pairs):
        n_turns = int(random.integers(1, MAX_TURNS + 1))
        yield pairs[at:at + n_turns]
        at += n_turns


def _calculations(random: np.random.Generator) -> Iterator[_Pair]:
    """Yields sums of numbers below a hundred, and differences that are not negative, each in a wording drawn from all.
    Two numbers, their sum and the two differences that lead back are a family, and of a family all is held out or
    nothing. An answer says the numbers again before the result, as people do: next to each other they are easier to
    reckon with than in a sentence."""
    families = [(low, high) for low in range(100) for high in range(low, 100)]
    for (low, high), draw in zip(families, random.random(len(families)), strict=True):
        is_held_out = low >= 10 and draw < HELD_OUT
        total = low + high
        orders = {(low, high), (high, low)}
        asked = [(_PLUS, order, f"{order[0]} + {order[1]} = {total}") for order in sorted(orders)]
        asked += [(_MINUS, (total, less), f"{total} - {less} = {total - less}") for less in sorted({low, high})
                  if total < 100]
        for wordings, numbers, answer in asked:
            yield _Pair(wordings[random.integers(len(wordings))].format(*numbers), answer, is_held_out)


def _products() -> Iterator[_Pair]:
    """Yields the times tables up to ten, in every wording: a product is known by heart, and none is held out."""
    for first in range(11):
        for second in range(11):
            for wording in _TIMES:
                yield _Pair(wording.format(first, second), f"{first} x {second} = {first * second}", False)


def _numbers(random: np.random.Generator) -> Iterator[_Pair]:
    """Yields numbers in words and in figures; of those that are put together from words, some are held out."""
    for number in range(100):
        is_held_out = "-" in in_words(number) and random.random() < HELD_OUT
        for wordings, given, answer in ((_IN_WORDS, str(number), in_words(number)),
                                        (_IN_FIGURES, in_words(number), str(number))):
            for wording in wordings[:1] if is_held_out else wordings:
                yield _Pair(wording.format(given), answer, is_held_out)


def _little_facts(random: np.random.Generator) -> Iterator[_Pair]:
    """Yields little facts in all wordings. One wording of some is held out, so that a right answer shows that what was
    learned is the fact, and not the sentence."""
    for fact in FACTS:
        held_out = int(random.integers(len(fact.wordings))) if random.random() < HELD_OUT * 2 else None
        yield from _asked(fact, held_out)


def _asked(fact: Fact, held_out: int | None) -> Iterator[_Pair]:
    for number, wording in enumerate(fact.wordings):
        yield _Pair(wording, fact.answer, number == held_out)
