"""Facts of the built-in sentences and of the toy model, computed from them: what pages and exercises speak of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import pairwise

from tinylm.text.reading.built_in import HELLO
from tinylm.text.tokenizer import Tokenizer

Merge = tuple[str, str]


@cache
def word_tokenizer(sentences: tuple[str, ...] = HELLO) -> Tokenizer:
    """The tokenizer that the notebook makes of the sentences."""
    return Tokenizer.train("word", sentences, unknown_token=False)


def encoded(sentences: tuple[str, ...] = HELLO) -> list[list[int]]:
    """Ids of the sentences, each with `<bos>` before and `<eos>` after it.

    >>> from tinylm.text.reading.built_in import ANIMALS
    >>> encoded(ANIMALS)[0]
    [1, 3, 4, 5, 6, 7, 2]
    """
    return [word_tokenizer(sentences).encode(sentence) for sentence in sentences]


def n_tokens(sentences: tuple[str, ...] = HELLO) -> int:
    """The number of tokens that are predicted: all but `<bos>`.

    >>> from tinylm.text.reading.built_in import ANIMALS
    >>> n_tokens(HELLO), n_tokens(ANIMALS)
    (26, 18)
    """
    return sum(len(ids) - 1 for ids in encoded(sentences))


def n_padded(sentences: tuple[str, ...] = HELLO) -> int:
    """The number of targets of one padded batch of all sentences, padding included.

    >>> n_padded(HELLO)
    32
    """
    return len(sentences) * max(len(ids) - 1 for ids in encoded(sentences))


def n_bytes(sentences: tuple[str, ...] = HELLO) -> int:
    """The length of the sentences in UTF-8, without the line ends between them.

    >>> from tinylm.text.reading.built_in import ANIMALS
    >>> n_bytes(HELLO), n_bytes(ANIMALS)
    (76, 56)
    """
    return sum(len(sentence.encode()) for sentence in sentences)


def merges(words: Iterable[str], count: int) -> list[Merge]:
    """The first merges of BPE (Sennrich et al. 2016, arXiv 1508.07909): again and again the most frequent pair of
    neighbours becomes one piece; of equally frequent pairs the first in the alphabet. Fewer, once every word is one
    piece.

    >>> merges(["low", "low", "lower"], 2)
    [('l', 'o'), ('lo', 'w')]
    >>> merges(["ab", "a"], 12)
    [('a', 'b')]
    """
    pieces = Counter(tuple(word) for word in words)
    found: list[Merge] = []
    for _ in range(count):
        pairs: Counter[Merge] = Counter()
        for word, times in pieces.items():
            for pair in pairwise(word):
                pairs[pair] += times
        if not pairs:  # every word is one piece
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        found.append(best)
        pieces = Counter({apply_merges(word, [best]): times for word, times in pieces.items()})
    return found


def apply_merges(pieces: Iterable[str], found: Iterable[Merge]) -> tuple[str, ...]:
    """The pieces of a word after merges, in their order.

    >>> apply_merges("slow", [("l", "o"), ("lo", "w")])
    ('s', 'low')
    """
    word = list(pieces)
    for first, second in found:
        merged: list[str] = []
        for piece in word:
            if merged and merged[-1] == first and piece == second:
                merged[-1] = first + second
            else:
                merged.append(piece)
        word = merged
    return tuple(word)
