"""Embeddings: which tokens have like vectors, and a map of them in two dimensions.

Axis letters: V vocabulary, D d_model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinylm.sampling.predictions import top_ids
from tinylm.text.tokenizer import Tokenizer

Embedding = NDArray[np.float32]
"""The rows of `embed`, (V, D)."""


@dataclass(frozen=True)
class Neighbour:
    """A token whose vector is near.

    Attributes:
        id, token: which one.
        similarity: the cosine of the angle between the two vectors, from -1 to 1.
    """

    id: int
    token: str
    similarity: float


@dataclass(frozen=True)
class MapPoint:
    """A token on the map, in the units of the embedding."""

    id: int
    token: str
    x: float
    y: float


@dataclass(frozen=True)
class EmbeddingMap:
    """A map of the embedding: its two directions of largest variance (principal component analysis).

    Attributes:
        points: a point for each token that was asked for.
        explained: the share of the variance of all tokens that each of the two directions has; the rest is not on the
            map.
    """

    points: tuple[MapPoint, ...]
    explained: tuple[float, float]


def neighbours(embedding: Embedding, id: int, top: int, tokenizer: Tokenizer) -> list[Neighbour]:
    """The tokens whose vectors point most nearly in the direction of a token's, nearest first, without the token.

    >>> tokenizer = tinylm.Tokenizer.train("char", ["abc"])  # <pad>, <bos>, <eos>, a, b, c
    >>> rows = np.float32([[0, 0], [0, -1], [-1, 0], [1, 0], [1, 0.5], [0, 1]])
    >>> [near.token for near in neighbours(rows, 3, 2, tokenizer)]
    ['b', '<pad>']
    """
    lengths = np.linalg.norm(embedding, axis=1)
    lengths[lengths == 0] = 1  # a vector of zeros points nowhere: its similarity is 0
    cosines = embedding @ embedding[id] / (lengths * lengths[id])
    cosines[id] = -np.inf
    return [Neighbour(near, tokenizer.token(near), float(cosines[near]))
            for near in top_ids(cosines, min(top, len(cosines) - 1))]


def embedding_map(embedding: Embedding, ids: Sequence[int], tokenizer: Tokenizer) -> EmbeddingMap:
    """Draws the map of some tokens.

    The directions are those of the whole vocabulary, so the place of a token does not depend on which others are
    asked for. A direction is turned so that its largest entry is positive.

    >>> tokenizer = tinylm.Tokenizer.train("char", ["a"])  # <pad>, <bos>, <eos>, a
    >>> drawn = embedding_map(np.float32([[3, 0], [-3, 0], [0, 1], [0, -1]]), [0], tokenizer)
    >>> drawn.points[0].token, drawn.points[0].x, [round(share, 2) for share in drawn.explained]
    ('<pad>', 3.0, [0.9, 0.1])
    """
    centred = embedding - embedding.mean(axis=0)
    variances, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))  # the largest variance last
    largest = directions[:, :-3:-1].copy()  # (D, 2), or (D, 1) in a model of width 1
    largest *= np.where(np.take_along_axis(largest, abs(largest).argmax(axis=0)[None], 0) < 0, -1, 1)
    total = variances.sum() or 1.0
    places = np.zeros((len(ids), 2))
    places[:, :largest.shape[1]] = centred[list(ids)] @ largest
    shares = [*(max(0.0, float(each / total)) for each in variances[:-3:-1]), 0.0]
    points = tuple(MapPoint(id, tokenizer.token(id), float(x), float(y))
                   for id, (x, y) in zip(ids, places, strict=True))
    return EmbeddingMap(points, (shares[0], shares[1]))
