"""Attention of the new positions to all keys and values in the caches of their sequences.

    project -> normalise, rotate, append to the cache -> scores -> softmax -> weighted sum of the values -> z

A cache (kv_cache.py) holds two packed matrices a layer and key/value head: keys (S/16, K, 16), so that the scores of a
query are its product with 16 positions at once; and values (K/16, S, 16), so that a head's output is the product of the
softmax with them. Both products are the micro-kernel's. As in FlashAttention (Dao et al. 2022, arXiv 2205.14135), what
is summed are the unnormalised weights exp(score - max), and the sum is divided by their total once, at the end.

A key/value head serves a group of query heads (grouped-query attention, Ainslie et al. 2023, arXiv 2305.13245).

Axis letters: N new positions   S positions of a sequence   H heads   G key/value heads   K d_head
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinylm.engine.barrier import barrier_wait
from tinylm.engine.matmul import matmul, matmul_panels
from tinylm.engine.micro_kernel import (
    CHAINS,
    FLOAT32,
    INTERLEAVED,
    ONE_ROW_PANELS,
    TILE_PANELS,
    TILE_ROWS,
    micro_kernel,
)
from tinylm.engine.records import float32s, int64s
from tinylm.jit.arrays import round_up
from tinylm.jit.compile import part
from tinylm.jit.functions import exp, maximum
from tinylm.jit.llvm import LANES
from tinylm.jit.pointers import at, float32_pointer

VALUE_PANELS = 2
"""Panels of values that are multiplied by one row at once."""
_score_row, _score_tile = micro_kernel(FLOAT32, 1, ONE_ROW_PANELS), micro_kernel(FLOAT32, TILE_ROWS, TILE_PANELS)
_sum_row, _sum_tile = micro_kernel(FLOAT32, 1, VALUE_PANELS, CHAINS), micro_kernel(FLOAT32, TILE_ROWS, 1, CHAINS)
NO_SCALES = 0
"""In the place of a pointer to scales, which float32 has none of."""
ZERO, ONE = np.float32(0.0), np.float32(1.0)


@part
def attention(model: Any, layer: Any, work: Any, number: Any, worker: Any, phase: Any, source: Any) -> Any:
    """Computes the worker's share of z (N, H, K), the outputs of the heads of layer `number`.

    Args:
        source: a pointer to x (N, D), the input of the layer's projections.

    Returns:
        the phase. Behind it, z is complete only for workers that have their own heads.
    """
    if have_own_heads(model, work.workers):
        _project_own_heads(model, layer, work, worker, source)
        _rotate_and_cache(model, layer, work, number, worker)
    else:
        matmul(layer.qkv, work, worker, source, work.width, float32_pointer(work.qkv), work.qkv_width)
        phase = barrier_wait(work, worker, phase)
        _rotate_and_cache(model, layer, work, number, worker)
        phase = barrier_wait(work, worker, phase)
    _attend(model, work, number, worker)
    return phase


# ---- queries, keys and values


@part
def have_own_heads(model: Any, workers: Any) -> Any:
    """True if each of several workers can have key/value heads of its own, and the query heads of their groups: then no
    worker waits for another between the products that make queries and the head outputs. Interleaved panels must not be
    cut."""
    heads, together = model.n_kv_heads, LANES * INTERLEAVED[model.head.kind]
    return workers > 1 and heads % workers == 0 and heads // workers * model.d_head % together == 0


@part
def _project_own_heads(model: Any, layer: Any, work: Any, worker: Any, source: Any) -> None:
    """Multiplies x (N, D) by the panels of the worker's own queries, keys and values."""
    begin = 0
    for kind in range(3):
        heads = model.n_heads if kind == 0 else model.n_kv_heads
        count = heads // work.workers * model.d_head // LANES
        first = begin + worker * count
        matmul_panels(layer.qkv, 0, layer.qkv.inputs, work.rows, first, first + count, source, work.width,
                      float32_pointer(work.qkv), work.qkv_width)
        begin += heads * model.d_head // LANES


@part
def _rotate_and_cache(model: Any, layer: Any, work: Any, number: Any, worker: Any) -> None:
    """Adds biases, normalises and rotates queries and keys, scales queries, and appends keys and values to the caches.
    Queries (N, H, K) stay where they are, in `work.qkv`. Tasks are ordered by key/value head, so that a worker that has
    its own heads meets these only."""
    heads, kv_heads, width = model.n_heads, model.n_kv_heads, model.d_head
    qkv, positions = float32s(work.qkv, work.rows, work.qkv_width), int64s(work.positions, work.rows)
    group = heads // kv_heads
    tasks = kv_heads * (group + 2) * work.rows
    for task in range(tasks * worker // work.workers, tasks * (worker + 1) // work.workers):
        row, kv_head, member = task % work.rows, task // work.rows // (group + 2), task // work.rows % (group + 2)
        head = kv_head * group + member if member < group else heads + (member - group) * kv_heads + kv_head
        vector = qkv[row, head * width:(head + 1) * width]
        if layer.qkv_bias != 0:
            bias = float32s(at(float32_pointer(layer.qkv_bias), head * width), 1, width)[0]
            for k in range(width):
                vector[k] += bias[k]
        if member < group:
            _norm_and_rotate(model, work, vector, positions[row], layer.q_norm)
            for k in range(width):
                vector[k] *= model.scale
        elif member == group:
            _norm_and_rotate(model, work, vector, positions[row], layer.k_norm)
            _append_key(model, work, row, number, kv_head, positions[row], vector)
        else:
            _append_value(model, work, row, number, kv_head, positions[row], vector)


@part
def _norm_and_rotate(model: Any, work: Any, vector: Any, position: Any, weight: Any) -> None:
    """Normalises a query or key (K,) where there is a weight (QK-norm), and rotates it where positions are rotary: its
    halves as pairs of coordinates, each by its own angle (Su et al. 2021, arXiv 2104.09864)."""
    width = model.d_head
    if weight != 0:
        squares = ZERO
        for k in range(width):
            squares += vector[k] * vector[k]
        r = ONE / np.float32(math.sqrt(squares / np.float32(width) + model.eps))
        scale = float32s(weight, 1, width)[0]
        for k in range(width):
            vector[k] = vector[k] * r * scale[k]
    if model.rotary:
        half = width // 2
        cos = float32s(at(float32_pointer(work.cos), position * half), 1, half)[0]
        sin = float32s(at(float32_pointer(work.sin), position * half), 1, half)[0]
        for k in range(half):
            first, second = vector[k], vector[half + k]
            vector[k] = first * cos[k] - second * sin[k]
            vector[half + k] = second * cos[k] + first * sin[k]


# ---- the cache


@part
def _keys_of(model: Any, work: Any, row: Any, layer: Any, head: Any) -> Any:
    """The pointer to a key/value head's keys in the cache of a row's sequence."""
    size = int64s(work.capacities, work.rows)[row] * model.d_head
    return at(float32_pointer(int64s(work.keys, work.rows)[row]), (layer * model.n_kv_heads + head) * size)


@part
def _values_of(model: Any, work: Any, row: Any, layer: Any, head: Any) -> Any:
    """The pointer to a key/value head's values in the cache of a row's sequence."""
    size = int64s(work.capacities, work.rows)[row] * round_up(model.d_head, LANES)
    return at(float32_pointer(int64s(work.values, work.rows)[row]), (layer * model.n_kv_heads + head) * size)


@part
def _append_key(model: Any, work: Any, row: Any, layer: Any, head: Any, position: Any, vector: Any) -> None:
    """Writes a key (K,) into one lane of its panel."""
    width = model.d_head
    first = position // LANES * width * LANES + position % LANES
    keys = float32s(at(_keys_of(model, work, row, layer, head), first), width, LANES)
    for k in range(width):
        keys[k, 0] = vector[k]


@part
def _append_value(model: Any, work: Any, row: Any, layer: Any, head: Any, position: Any, vector: Any) -> None:
    """Writes a value (K,) across its panels."""
    start, capacity = _values_of(model, work, row, layer, head), int64s(work.capacities, work.rows)[row]
    for k in range(model.d_head):
        float32s(at(start, LANES * (k // LANES * capacity + position)), 1, LANES)[0, k % LANES] = vector[k]


# ---- scores, softmax and weighted sum


@part
def _attend(model: Any, work: Any, number: Any, worker: Any) -> None:
    """Computes the worker's share of z (N, H, K). Adjacent positions of a sequence attend to nearly the same keys, so
    `TILE_ROWS` of them are computed together."""
    blocks = (work.rows + TILE_ROWS - 1) // TILE_ROWS
    tasks = model.n_heads * blocks
    for task in range(tasks * worker // work.workers, tasks * (worker + 1) // work.workers):
        head, first = task // blocks, task % blocks * TILE_ROWS
        count = TILE_ROWS if _are_adjacent(work, first) else 1
        for row in range(first, min(first + TILE_ROWS, work.rows), count):
            _attend_rows(model, work, number, worker, row, count, head)


@part
def _are_adjacent(work: Any, first: Any) -> Any:
    """True if the `TILE_ROWS` rows from the first on are consecutive positions of one sequence."""
    positions, keys = int64s(work.positions, work.rows), int64s(work.keys, work.rows)
    adjacent = first + TILE_ROWS <= work.rows
    for row in range(first + 1, min(first + TILE_ROWS, work.rows)):
        adjacent &= keys[row] == keys[first] and positions[row] == positions[first] + row - first
    return adjacent


@part
def _attend_rows(model: Any, work: Any, number: Any, worker: Any, row: Any, count: Any, head: Any) -> None:
    """Attention of one head at `count` adjacent rows. Keys later than a row's own position get weight 0
    (causal mask).

    The worker's scratch memory holds scores (TILE_ROWS, scores_width), then sums (TILE_ROWS, K), then totals.
    """
    width, kv_head = model.d_head, head // (model.n_heads // model.n_kv_heads)
    padded_width = round_up(width, LANES)
    n_keys = int64s(work.positions, work.rows)[row] + 1  # for the first row; one more for each that follows
    padded_keys = round_up(n_keys + count - 1, CHAINS)
    scores = at(float32_pointer(work.scores), worker * TILE_ROWS * (work.scores_width + padded_width + 1))
    sums = at(scores, TILE_ROWS * work.scores_width)
    totals = float32s(at(sums, TILE_ROWS * padded_width), 1, TILE_ROWS)[0]
    query, z_start = at(float32_pointer(work.qkv), row * work.qkv_width + head * width), float32_pointer(work.z)
    _score(model, work, count, scores, query, _keys_of(model, work, row, number, kv_head), n_keys + count - 1)
    for n in range(count):
        totals[n] = _softmax(float32s(at(scores, n * work.scores_width), 1, padded_keys)[0], n_keys + n)
    step = int64s(work.capacities, work.rows)[row] * LANES
    _weighted_sum(model, work, count, sums, scores, _values_of(model, work, row, number, kv_head), step, padded_keys)
    for n in range(count):
        z = float32s(at(z_start, ((row + n) * model.n_heads + head) * width), 1, width)[0]
        total = float32s(at(sums, n * padded_width), 1, width)[0]
        for k in range(width):
            z[k] = total[k] / totals[n]


@part
def _score(model: Any, work: Any, count: Any, scores: Any, query: Any, keys: Any, n_keys: Any) -> None:
    """Computes scores (count, n_keys) = queries (count, K) @ keys, all of them pointers."""
    width = model.d_head
    step, panels, most = width * LANES, (n_keys + LANES - 1) // LANES, ONE_ROW_PANELS if count == 1 else TILE_PANELS
    for first in range(0, panels, most):
        some, out, w = min(most, panels - first), at(scores, first * LANES), at(keys, first * step)
        if count == 1:
            _score_row(some, out, 0, w, step, NO_SCALES, query, 0, width)
        else:
            _score_tile(some, out, work.scores_width, w, step, NO_SCALES, query, work.qkv_width, width)


@part
def _softmax(scores: Any, n_keys: Any) -> Any:
    """Replaces scores by exp(score - max), and those from `n_keys` on by 0. Returns their sum, by which the softmax has
    yet to be divided."""
    highest = scores[0]
    for s in range(n_keys):
        highest = maximum(highest, scores[s])
    total = ZERO
    for s in range(n_keys):
        weight = exp(scores[s] - highest)
        scores[s] = weight
        total += weight
    for s in range(n_keys, scores.shape[0]):
        scores[s] = ZERO
    return total


@part
def _weighted_sum(model: Any, work: Any, count: Any, sums: Any, weights: Any, values: Any, step: Any,
                  n_keys: Any) -> None:
    """Computes sums (count, K) = weights (count, n_keys) @ values, all of them pointers.

    Args:
        step: numbers from one panel of values to the next.
    """
    padded_width = round_up(model.d_head, LANES)
    most = VALUE_PANELS if count == 1 else 1
    for first in range(0, padded_width // LANES, most):
        out, w = at(sums, first * LANES), at(values, first * step)
        if count == 1:
            _sum_row(min(most, padded_width // LANES - first), out, 0, w, step, NO_SCALES, weights, 0, n_keys)
        else:
            _sum_tile(1, out, padded_width, w, step, NO_SCALES, weights, work.scores_width, n_keys)
