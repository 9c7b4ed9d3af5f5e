"""Entropy of a text of a few sentences: the lowest loss that any model of it can reach.

A model that reads each sentence by itself gives each a probability, the product of the probabilities of its tokens. The
mean of -ln(probability) is smallest where each sentence has the probability that it is met with, its share of the
sentences (Gibbs' inequality; Shannon 1948, "A Mathematical Theory of Communication"). So N different sentences cost
N ln N nats in all, in whatever tokens they are written, and a model that is below has seen what it was to predict.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tinylm.text.reading.built_in import SENTENCES
from tinylm.text.rows import Packing
from tinylm.text.split import Slice

MAX_SENTENCES = max(map(len, SENTENCES))


def entropy(text: Slice, packing: Packing) -> float | None:
    """Entropy of a whole text in nats: the least that its tokens can cost together.

    Args:
        text: the text that is evaluated.
        packing: the way in which rows are cut. In "windows" a model sees the sentences before, and can learn their
            order.

    Returns:
        None for a text that is not one of the built-in sentences: what follows what in any other text is not known.

    >>> from tinylm.text.corpus import open_corpus
    >>> from tinylm.text.split import split_corpus
    >>> round(entropy(split_corpus(open_corpus("hello"), 0.0).train, "padded") / 26, 4)  # of 26 tokens
    0.2133
    """
    if packing == "windows" or text.corpus.stats().documents > MAX_SENTENCES:
        return None
    documents = [piece.text for piece in text.pieces()]
    return entropy_of(documents) if tuple(documents) in SENTENCES else None


def pair_entropy(documents: Iterable[Sequence[int]]) -> float:
    """Entropy in nats of documents whose every token is predicted from the one before it alone, by its share in a table
    of pairs: the lowest loss of a model that does not look back.

    Args:
        documents: ids, each with its start and its end, such as `Tokenizer.encode` gives them.

    >>> round(pair_entropy([[1, 5, 6, 2], [1, 7, 6, 2]]), 3)  # only the first step is open: 2 ln 2
    1.386
    """
    pairs = Counter(pair for ids in documents for pair in pairwise(ids))
    firsts: Counter[int] = Counter()
    for (first, _), count in pairs.items():
        firsts[first] += count
    return sum(count * math.log(firsts[first] / count) for (first, _), count in pairs.items())


def entropy_of(documents: list[str]) -> float:
    """Sum over documents of -ln(share of the documents that are the same).

    >>> round(entropy_of(["a", "a", "b", "c"]), 3)  # -2 ln(2/4) - 2 ln(1/4)
    4.159
    """
    return sum(count * math.log(len(documents) / count) for count in Counter(documents).values())
