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

from tinylm.engine.matmul import share
from tinylm.engine.micro_kernel import (
    CHAINS,
    FLOAT32,
    INTERLEAVE,
    LANES,
    PANELS,
    ROWS,
    SINGLE_ROW_PANELS,
    micro_kernel,
)
from tinylm.engine.records import floats, integers
from tinylm.jit.bfloat16 import exp, greater
from tinylm.jit.compile import part

VALUE_PANELS = 2
"""Panels of values at once."""
_scores, _mixed = micro_kernel(FLOAT32, 1, SINGLE_ROW_PANELS), micro_kernel(FLOAT32, 1, VALUE_PANELS, CHAINS)
_scores_together, _mixed_together = micro_kernel(FLOAT32, ROWS, PANELS), micro_kernel(FLOAT32, ROWS, 1, CHAINS)
ZERO, ONE = np.float32(0.0), np.float32(1.0)


@part
def round_up_to_lanes(width: Any) -> Any:
    """The numbers of whole panels that hold so many."""
    return (width + LANES - 1) // LANES * LANES


@part
def keys_address(model: Any, work: Any, row: Any, layer: Any, head: Any) -> Any:
    """The address of a key/value head's keys in the cache of a row's stream."""
    size = integers(work.capacities, work.rows)[row] * model.d_head
    return integers(work.keys, work.rows)[row] + 4 * (layer * model.n_kv_heads + head) * size


@part
def values_address(model: Any, work: Any, row: Any, layer: Any, head: Any) -> Any:
    """And of its values."""
    size = integers(work.capacities, work.rows)[row] * round_up_to_lanes(model.d_head)
    return integers(work.values, work.rows)[row] + 4 * (layer * model.n_kv_heads + head) * size


@part
def heads_divide_evenly(model: Any, workers: Any) -> Any:
    """Whether each of several workers can have key/value heads of its own, and the queries that look at them: then
    nobody waits between the products for them and what they take in. Pairs of panels (tiles.py) must not be cut."""
    kv_heads, together = model.n_kv_heads, LANES * INTERLEAVE[model.head.kind]
    return workers > 1 and kv_heads % workers == 0 and kv_heads // workers * model.d_head % together == 0


@part
def project_own_heads(model: Any, layer: Any, work: Any, worker: Any, source: Any) -> None:
    """The worker's queries, keys and values: x (N, D) at `source` -> qkv."""
    begin = 0
    for kind in range(3):
        heads = model.n_heads if kind == 0 else model.n_kv_heads
        count = heads // work.workers * model.d_head // LANES
        first = begin + worker * count
        share(layer.qkv, 0, layer.qkv.inputs, work.rows, first, first + count, source, work.width, work.qkv,
              work.qkv_width)
        begin += heads * model.d_head // LANES


@part
def rotate_and_cache(model: Any, layer: Any, work: Any, number: Any, worker: Any) -> None:
    """Queries (N, H, K) are made ready where they stand, in qkv; keys and values go into the caches.

    Args:
        number: of the layer.
    """
    heads, kv_heads, width = model.n_heads, model.n_kv_heads, model.d_head
    qkv, positions = floats(work.qkv, work.rows, work.qkv_width), integers(work.positions, work.rows)
    capacities = integers(work.capacities, work.rows)
    queries = heads // kv_heads
    tasks = kv_heads * (queries + 2) * work.rows
    for task in range(tasks * worker // work.workers, tasks * (worker + 1) // work.workers):
        row, group, member = task % work.rows, task // work.rows // (queries + 2), task // work.rows % (queries + 2)
        head = group * queries + member if member < queries else heads + (member - queries) * kv_heads + group
        position = positions[row]
        vector = qkv[row, head * width:(head + 1) * width]
        if layer.qkv_bias != 0:
            bias = floats(layer.qkv_bias + 4 * head * width, 1, width)[0]
            for k in range(width):
                vector[k] += bias[k]
        if head < heads:
            _norm_and_rotate(model, work, vector, position, layer.q_norm)
            for k in range(width):
                vector[k] *= model.scale
        elif head < heads + kv_heads:
            _norm_and_rotate(model, work, vector, position, layer.k_norm)
            block = position // LANES * width * LANES + position % LANES
            keys = floats(keys_address(model, work, row, number, head - heads) + 4 * block, width, LANES)
            for k in range(width):
                keys[k, 0] = vector[k]
        else:
            start, step = values_address(model, work, row, number, head - heads - kv_heads), capacities[row]
            for k in range(width):
                floats(start + 4 * LANES * (k // LANES * step + position), 1, LANES)[0, k % LANES] = vector[k]


@part
def _norm_and_rotate(model: Any, work: Any, vector: Any, position: Any, weight: Any) -> None:
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
        cos = floats(work.cos + 4 * position * half, 1, half)[0]
        sin = floats(work.sin + 4 * position * half, 1, half)[0]
        for k in range(half):
            first, second = vector[k], vector[half + k]
            vector[k] = first * cos[k] - second * sin[k]
            vector[half + k] = second * cos[k] + first * sin[k]


@part
def attend(model: Any, work: Any, number: Any, worker: Any) -> None:
    """z (N, H, K): what each head takes in at each new position, from all up to it. Neighbours in one stream see nearly
    the same, so they look together."""
    blocks = (work.rows + ROWS - 1) // ROWS
    tasks = model.n_heads * blocks
    for task in range(tasks * worker // work.workers, tasks * (worker + 1) // work.workers):
        head, first = task // blocks, task % blocks * ROWS
        together = ROWS if _are_consecutive(work, first) else 1
        for row in range(first, min(first + ROWS, work.rows), together):
            _attend_rows(model, work, number, worker, row, together, head)


@part
def _are_consecutive(work: Any, first: Any) -> Any:
    """Whether the `ROWS` rows from the first on are a stretch of one stream."""
    positions, keys = integers(work.positions, work.rows), integers(work.keys, work.rows)
    together = first + ROWS <= work.rows
    for row in range(first + 1, min(first + ROWS, work.rows)):
        together &= keys[row] == keys[first] and positions[row] == positions[first] + row - first
    return together


@part
def _attend_rows(model: Any, work: Any, number: Any, worker: Any, row: Any, count: Any, head: Any) -> None:
    """One head, at one position or at `ROWS` neighbours. What one of these must not see has no share for it."""
    width, kv_heads = model.d_head, head // (model.n_heads // model.n_kv_heads)
    seen = integers(work.positions, work.rows)[row] + 1
    padded_keys = (seen + count - 1 + CHAINS - 1) // CHAINS * CHAINS
    scores = work.scores + 4 * worker * ROWS * (work.scores_width + round_up_to_lanes(width) + 1)
    taken = scores + 4 * ROWS * work.scores_width
    totals = floats(taken + 4 * ROWS * round_up_to_lanes(width), 1, ROWS)[0]
    query = work.qkv + 4 * (row * work.qkv_width + head * width)
    _score(model, work, count, scores, query, keys_address(model, work, row, number, kv_heads), seen + count - 1)
    for n in range(count):
        totals[n] = _softmax(floats(scores + 4 * n * work.scores_width, 1, padded_keys)[0], seen + n)
    step = integers(work.capacities, work.rows)[row] * LANES
    values = values_address(model, work, row, number, kv_heads)
    _weighted_sum(model, work, count, taken, scores, values, step, padded_keys)
    for n in range(count):
        z = floats(work.z + 4 * ((row + n) * model.n_heads + head) * width, 1, width)[0]
        found = floats(taken + 4 * n * round_up_to_lanes(width), 1, width)[0]
        for k in range(width):
            z[k] = found[k] / totals[n]


@part
def _score(model: Any, work: Any, count: Any, scores: Any, query: Any, keys: Any, seen: Any) -> None:
    width = model.d_head
    step, panels, most = width * LANES, (seen + LANES - 1) // LANES, SINGLE_ROW_PANELS if count == 1 else PANELS
    for first in range(0, panels, most):
        some, out, w = min(most, panels - first), scores + 4 * first * LANES, keys + 4 * first * step
        if count == 1:
            _scores(some, out, 0, w, step, 0, query, 0, width)
        else:
            _scores_together(some, out, work.scores_width, w, step, 0, query, work.qkv_width, width)


@part
def _softmax(scores: Any, seen: Any) -> Any:
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
def _weighted_sum(model: Any, work: Any, count: Any, taken: Any, shares: Any, values: Any, step: Any,
                  seen: Any) -> None:
    padded_width = round_up_to_lanes(model.d_head)
    most = VALUE_PANELS if count == 1 else 1
    for first in range(0, padded_width // LANES, most):
        out, w = taken + 4 * first * LANES, values + 4 * first * step
        if count == 1:
            _mixed(min(most, padded_width // LANES - first), out, 0, w, step, 0, shares, 0, seen)
        else:
            _mixed_together(1, out, padded_width, w, step, 0, shares, work.scores_width, seen)
