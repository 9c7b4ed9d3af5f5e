"""Attention of new positions over all that their streams hold.

The cache of a stream is laid out as two matrices a layer and key/value head, in panels as the weights are (tiles.py):
keys (S/16, K, 16), so that the scores of a query are its product with 16 positions at once; and values (K/16, S, 16),
so that what a head takes in is the product of its shares with them.

Axis letters: N new positions   S positions of a stream   H heads   G key/value heads   K d_head
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinylm.compiled.compiling import part
from tinylm.compiled.numbers import exp, greater
from tinylm.generation.engine.memory import floats, integers
from tinylm.generation.engine.tiles import ALONE, CHAINS, FLOAT32, LANES, tile

FEW = 2
"""Panels of values at once."""
_scores, _mixed = tile(FLOAT32, 1, ALONE), tile(FLOAT32, 1, FEW, CHAINS)
ZERO, ONE = np.float32(0.0), np.float32(1.0)


@part
def widened(width: Any) -> Any:
    """The numbers of whole panels that hold so many."""
    return (width + LANES - 1) // LANES * LANES


@part
def keys_of(model: Any, work: Any, row: Any, layer: Any, head: Any) -> Any:
    """The address of a key/value head's keys in the cache of a row's stream."""
    size = integers(work.rooms, work.rows)[row] * model.d_head
    return integers(work.keys, work.rows)[row] + 4 * (layer * model.n_kv_heads + head) * size


@part
def values_of(model: Any, work: Any, row: Any, layer: Any, head: Any) -> Any:
    """And of its values."""
    size = integers(work.rooms, work.rows)[row] * widened(model.d_head)
    return integers(work.values, work.rows)[row] + 4 * (layer * model.n_kv_heads + head) * size


@part
def split_heads(model: Any, layer: Any, work: Any, number: Any, worker: Any) -> None:
    """Queries (N, H, K) are made ready where they stand, in qkv; keys and values go into the caches.

    Args:
        number: of the layer.
    """
    heads, shared, width = model.n_heads, model.n_kv_heads, model.d_head
    qkv, places = floats(work.qkv, work.rows, work.qkv_width), integers(work.places, work.rows)
    rooms = integers(work.rooms, work.rows)
    count = heads + 2 * shared
    tasks = work.rows * count
    for task in range(tasks * worker // work.workers, tasks * (worker + 1) // work.workers):
        row, head = task // count, task % count
        place = places[row]
        vector = qkv[row, head * width:(head + 1) * width]
        if layer.qkv_bias != 0:
            bias = floats(layer.qkv_bias + 4 * head * width, 1, width)[0]
            for k in range(width):
                vector[k] += bias[k]
        if head < heads:
            _turn(model, work, vector, place, layer.q_norm)
            for k in range(width):
                vector[k] *= model.scale
        elif head < heads + shared:
            _turn(model, work, vector, place, layer.k_norm)
            block = place // LANES * width * LANES + place % LANES
            keys = floats(keys_of(model, work, row, number, head - heads) + 4 * block, width, LANES)
            for k in range(width):
                keys[k, 0] = vector[k]
        else:
            start, step = values_of(model, work, row, number, head - heads - shared), rooms[row]
            for k in range(width):
                floats(start + 4 * LANES * (k // LANES * step + place), 1, LANES)[0, k % LANES] = vector[k]


@part
def _turn(model: Any, work: Any, vector: Any, place: Any, weight: Any) -> None:
    """A query or key (K,): normalised where there is a weight, and turned where positions are rotary."""
    width = model.d_head
    if weight != 0:
        squares = ZERO
        for k in range(width):
            squares += vector[k] * vector[k]
        r = ONE / np.float32(math.sqrt(squares / np.float32(width) + model.eps))
        scale = floats(weight, 1, width)[0]
        for k in range(width):
            vector[k] = vector[k] * r * scale[k]
    if model.rotary:
        half = width // 2
        cos = floats(work.cos + 4 * place * half, 1, half)[0]
        sin = floats(work.sin + 4 * place * half, 1, half)[0]
        for k in range(half):
            first, second = vector[k], vector[half + k]
            vector[k] = first * cos[k] - second * sin[k]
            vector[half + k] = second * cos[k] + first * sin[k]


@part
def attend(model: Any, work: Any, number: Any, worker: Any) -> None:
    """z (N, H, K): what each head takes in at each new position, from all up to it."""
    heads, width = model.n_heads, model.d_head
    places = integers(work.places, work.rows)
    scratch = work.scores + worker * 4 * (work.scores_room + widened(width))
    tasks = work.rows * heads
    for task in range(tasks * worker // work.workers, tasks * (worker + 1) // work.workers):
        row, head = task // heads, task % heads
        shared = head // (heads // model.n_kv_heads)
        seen = places[row] + 1
        query = work.qkv + 4 * (row * work.qkv_width + head * width)
        _score(scratch, query, keys_of(model, work, row, number, shared), seen, width)
        padded = (seen + CHAINS - 1) // CHAINS * CHAINS
        total = _weigh(floats(scratch, 1, padded)[0], seen)
        taken = scratch + 4 * work.scores_room
        step = integers(work.rooms, work.rows)[row] * LANES
        _mix(taken, scratch, values_of(model, work, row, number, shared), step, padded, width)
        z, found = floats(work.z + 4 * task * width, 1, width)[0], floats(taken, 1, width)[0]
        for k in range(width):
            z[k] = found[k] / total


@part
def _score(scores: Any, query: Any, keys: Any, seen: Any, width: Any) -> None:
    step, panels = width * LANES, (seen + LANES - 1) // LANES
    for first in range(0, panels, ALONE):
        count = min(ALONE, panels - first)
        _scores(count, scores + 4 * first * LANES, 0, keys + 4 * first * step, step, 0, query, 0, width)


@part
def _weigh(scores: Any, seen: Any) -> Any:
    """Scores become e to the scores, less the highest of them; their sum. Those beyond `seen` become 0."""
    highest = scores[0]
    for s in range(seen):
        highest = greater(highest, scores[s])
    total = ZERO
    for s in range(seen):
        share = exp(scores[s] - highest)
        scores[s] = share
        total += share
    for s in range(seen, scores.shape[0]):
        scores[s] = ZERO
    return total


@part
def _mix(out: Any, shares: Any, values: Any, step: Any, seen: Any, width: Any) -> None:
    panels = (width + LANES - 1) // LANES
    for first in range(0, panels, FEW):
        _mixed(min(FEW, panels - first), out + 4 * first * LANES, 0, values + 4 * first * step, step, 0, shares, 0,
               seen)
