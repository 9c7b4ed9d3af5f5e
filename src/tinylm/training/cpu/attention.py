"""Attention of some rows, forward and backward, one head after the other: from the products for queries, keys and
values to what the heads have gathered, and back. All that a head needs meanwhile stays in the cache, in 32 bits;
nothing of it is kept for the backward pass, which computes it again. The half of the pattern that lies ahead is left
out, in steps of 16 places.

    qkv (B, T, H+2G, 2, K/2)    joined (B, T, H, 2, K/2)    cos, sin (T, K/2)    weights of norms (2, K/2), or empty

Axis letters as in kernels.py. The two halves of a head are an axis, since an index that is a plain count is one that a
compiler can follow. In the work space T and K are rounded up to whole vectors, and what is added is zero:

    heads (7, T, 2, K/2)    across (2, 2, K/2, T): keys and values, turned over    blocks (3, BLOCK, T): patterns
    rstd (2, T): of a query head and a key head
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from tinylm.jit.bfloat16 import exp, greater, hashed, read, stored
from tinylm.jit.cache import is_compiled
from tinylm.jit.compile import SHARED, apart, digest, kernel
from tinylm.training.cpu import micro_kernel
from tinylm.training.cpu.micro_kernel import LANES, product

BLOCK = 64
"""Queries whose patterns are there at the same time."""
ZERO, ONE, LOWEST = np.float32(0.0), np.float32(1.0), np.float32(-np.inf)


def are_compiled() -> bool:
    """Whether an earlier program has left the kernels compiled, of which these take longest."""
    return is_compiled(attend) and is_compiled(attend_backward)


def whole_vectors(count: int) -> int:
    """The fewest numbers in whole vectors that are at least so many."""
    return -(-count // LANES) * LANES


@apart
def _clear(x: Any) -> None:
    for t in range(x.shape[0]):
        for two in range(2):
            for i in range(x.shape[2]):
                x[t, two, i] = ZERO


@apart
def _copy(x: Any, rows: Any, out: Any) -> None:
    for r in range(rows):
        for s in range(x.shape[1]):
            out[r, s] = x[r, s]


@apart
def _read_values(x: Any, b: Any, head: Any, out: Any) -> None:
    for t in range(x.shape[1]):
        for two in range(2):
            for i in range(x.shape[4]):
                out[t, two, i] = read(x[b, t, head, two, i])


@apart
def _write_values(values: Any, b: Any, head: Any, out: Any) -> None:
    for t in range(out.shape[1]):
        for two in range(2):
            for i in range(out.shape[4]):
                out[b, t, head, two, i] = stored(out, values[t, two, i])


@apart
def _read_head(qkv: Any, b: Any, head: Any, cos: Any, sin: Any, weight: Any, eps: Any, scale: Any, out: Any,
               rstd: Any) -> None:
    """A query or key: normalised where there are weights, turned, scaled. `rstd` (T) is kept for the way back."""
    half, normed = qkv.shape[4], weight.shape[0] > 0
    for t in range(qkv.shape[1]):
        squares = ZERO
        for i in range(half):
            one, two = read(qkv[b, t, head, 0, i]), read(qkv[b, t, head, 1, i])
            squares += one * one + two * two
        r = ONE / np.float32(math.sqrt(squares / np.float32(2 * half) + eps))
        rstd[t] = r if normed else ONE
        for i in range(half):
            one, two = read(qkv[b, t, head, 0, i]) * scale, read(qkv[b, t, head, 1, i]) * scale
            if normed:
                one *= r * weight[0, i]
                two *= r * weight[1, i]
            out[t, 0, i] = one * cos[t, i] - two * sin[t, i]
            out[t, 1, i] = two * cos[t, i] + one * sin[t, i]


@apart
def _write_head_gradient(dx: Any, qkv: Any, b: Any, head: Any, cos: Any, sin: Any, weight: Any, scale: Any, rstd: Any,
                         dqkv: Any, dweight: Any, room: Any) -> None:
    """All ways back of `_read_head`. What adds up to dweight is put into `room` (T, 2, K/2) first: sums that grow in
    memory, two at a time, would not become vector code."""
    half, normed = qkv.shape[4], weight.shape[0] > 0
    for t in range(qkv.shape[1]):
        along, r = ZERO, rstd[t] * scale
        if not normed:
            for i in range(half):
                one, two = dx[t, 0, i] * scale, dx[t, 1, i] * scale
                dqkv[b, t, head, 0, i] = stored(dqkv, one * cos[t, i] + two * sin[t, i])
                dqkv[b, t, head, 1, i] = stored(dqkv, two * cos[t, i] - one * sin[t, i])
            continue
        for i in range(half):
            one, two = dx[t, 0, i] * r, dx[t, 1, i] * r
            along += (one * cos[t, i] + two * sin[t, i]) * weight[0, i] * read(qkv[b, t, head, 0, i])
            along += (two * cos[t, i] - one * sin[t, i]) * weight[1, i] * read(qkv[b, t, head, 1, i])
        along *= rstd[t] * rstd[t] / np.float32(2 * half)
        for i in range(half):
            one, two = dx[t, 0, i] * r, dx[t, 1, i] * r
            one, two = one * cos[t, i] + two * sin[t, i], two * cos[t, i] - one * sin[t, i]
            first, second = read(qkv[b, t, head, 0, i]), read(qkv[b, t, head, 1, i])
            dqkv[b, t, head, 0, i] = stored(dqkv, one * weight[0, i] - first * along)
            dqkv[b, t, head, 1, i] = stored(dqkv, two * weight[1, i] - second * along)
            room[t, 0, i] = one * first
            room[t, 1, i] = two * second
        for two in range(2):
            for i in range(half):
                dweight[two, i] += room[t, two, i]


@apart
def _turn_over(x: Any, out: Any) -> None:
    """x (T, 2, K/2) -> out (2, K/2, T)."""
    for t in range(x.shape[0]):
        for two in range(2):
            for i in range(x.shape[2]):
                out[two, i, t] = x[t, two, i]


@apart
def _scores(x: Any, across: Any, begin: Any, rows: Any, out: Any) -> None:
    """out = the products of the vectors of x (T, 2, K/2), from `begin` on, with all those up to their own places."""
    length, width = across.shape[2], 2 * across.shape[1]
    for r in range(0, rows, LANES):
        product(out.ctypes.data + 4 * r * length, length, LANES, (begin + r) // LANES + 1,
                x.ctypes.data + 4 * (begin + r) * width, width, 1, across.ctypes.data, length, width, False)


@apart
def _gathered(pattern: Any, x: Any, begin: Any, rows: Any, out: Any) -> None:
    """out, from `begin` on, = pattern (BLOCK, T) @ x (T, 2, K/2)."""
    length, width = pattern.shape[1], 2 * x.shape[2]
    for r in range(0, rows, LANES):
        product(out.ctypes.data + 4 * (begin + r) * width, width, LANES, width // LANES,
                pattern.ctypes.data + 4 * r * length, length, 1, x.ctypes.data, width, begin + r + LANES, False)


@apart
def _given_back(pattern: Any, x: Any, begin: Any, rows: Any, out: Any) -> None:
    """out += the transpose of pattern (BLOCK, T) @ x, from `begin` on: all places but those that lie ahead."""
    length, width = pattern.shape[1], 2 * x.shape[2]
    for s in range(0, begin + rows, LANES):
        skipped = max(0, s - begin)
        product(out.ctypes.data + 4 * s * width, width, LANES, width // LANES,
                pattern.ctypes.data + 4 * (skipped * length + s), 1, length,
                x.ctypes.data + 4 * (begin + skipped) * width, width, rows - skipped, True)


@apart
def _shared_out(pattern: Any, begin: Any, rows: Any) -> None:
    """Scores become a pattern: each query shares its attention out among the keys up to its own place."""
    for r in range(rows):
        t = begin + r
        end = (t // LANES + 1) * LANES  # whole vectors, which leave nothing over that would be computed one by one
        highest, total = LOWEST, ZERO
        for s in range(end):
            highest = greater(highest, pattern[r, s] if s <= t else LOWEST)
        for s in range(end):
            each = exp(pattern[r, s] - highest) if s <= t else ZERO
            pattern[r, s] = each
            total += each
        share = ONE / total
        for s in range(end):
            pattern[r, s] *= share


@apart
def _shared_out_backward(pattern: Any, gradient: Any, begin: Any, rows: Any) -> None:
    """The gradient of the pattern becomes that of the scores; nothing flows back to keys that lie ahead."""
    for r in range(rows):
        end, along = ((begin + r) // LANES + 1) * LANES, ZERO
        for s in range(end):
            along += pattern[r, s] * gradient[r, s]
        for s in range(end):
            gradient[r, s] = pattern[r, s] * (gradient[r, s] - along)


@apart
def _drop(pattern: Any, begin: Any, rows: Any, length: Any, rate: Any, key: Any, first: Any) -> None:
    """Dropout in place. What falls follows from the key and from the place in all patterns (B, H, T, T), of which this
    head's begin at `first`."""
    threshold = np.uint32(rate * 4294967296.0)
    factor = np.float32(1.0 / (1.0 - rate))
    for r in range(rows):
        for s in range(((begin + r) // LANES + 1) * LANES):
            kept = hashed(first + (begin + r) * length + s, key) >= threshold
            pattern[r, s] = pattern[r, s] * factor if kept else ZERO


@partial(kernel, shared=SHARED + digest(micro_kernel.__file__))
def attend(qkv: Any, cos: Any, sin: Any, q_weight: Any, k_weight: Any, eps: Any, scale: Any, rate: Any, key: Any,
           first: Any, joined: Any, heads: Any, across: Any, blocks: Any, rstd: Any) -> None:
    """qkv -> joined.

    Args:
        rate, key: of dropout in the pattern. Rate 0: there is none.
        first: the place of these rows' first pattern among all of the batch.
    """
    length, n_heads = qkv.shape[1], joined.shape[2]
    n_shared = (qkv.shape[2] - n_heads) // 2
    share = n_heads // n_shared
    q, k, v, gathered, pattern = heads[0], heads[1], heads[2], heads[3], blocks[0]
    for slot in range(heads.shape[0]):
        _clear(heads[slot])
    for b in range(qkv.shape[0]):
        for g in range(n_shared):
            _read_head(qkv, b, n_heads + g, cos, sin, k_weight, eps, ONE, k, rstd[1])
            _read_values(qkv, b, n_heads + n_shared + g, v)
            _turn_over(k, across[0])
            for h in range(g * share, (g + 1) * share):
                _read_head(qkv, b, h, cos, sin, q_weight, eps, scale, q, rstd[0])
                for begin in range(0, pattern.shape[1], BLOCK):
                    rows = min(BLOCK, pattern.shape[1] - begin)
                    _scores(q, across[0], begin, rows, pattern)
                    _shared_out(pattern, begin, rows)
                    if rate > 0:
                        _drop(pattern, begin, rows, length, rate, key, (first + b * n_heads + h) * length * length)
                    _gathered(pattern, v, begin, rows, gathered)
                _write_values(gathered, b, h, joined)


@partial(kernel, shared=SHARED + digest(micro_kernel.__file__))
def attend_backward(qkv: Any, cos: Any, sin: Any, q_weight: Any, k_weight: Any, eps: Any, scale: Any, rate: Any,
                    key: Any, first: Any, djoined: Any, dqkv: Any, dq_weight: Any, dk_weight: Any, heads: Any,
                    across: Any, blocks: Any, rstd: Any) -> None:
    """djoined -> dqkv; the gradients of the norms' weights are added to."""
    length, n_heads = qkv.shape[1], djoined.shape[2]
    n_shared = (qkv.shape[2] - n_heads) // 2
    share = n_heads // n_shared
    q, k, v, dgathered, dq, dk, dv = heads[0], heads[1], heads[2], heads[3], heads[4], heads[5], heads[6]
    pattern, dpattern = blocks[0], blocks[1]
    dropped = blocks[2] if rate > 0 else pattern
    for slot in range(heads.shape[0]):
        _clear(heads[slot])
    for b in range(qkv.shape[0]):
        for g in range(n_shared):
            _read_head(qkv, b, n_heads + g, cos, sin, k_weight, eps, ONE, k, rstd[1])
            _read_values(qkv, b, n_heads + n_shared + g, v)
            _turn_over(k, across[0])
            _turn_over(v, across[1])
            _clear(dk)
            _clear(dv)
            for h in range(g * share, (g + 1) * share):
                _read_head(qkv, b, h, cos, sin, q_weight, eps, scale, q, rstd[0])
                _read_values(djoined, b, h, dgathered)
                for begin in range(0, pattern.shape[1], BLOCK):
                    rows = min(BLOCK, pattern.shape[1] - begin)
                    _scores(q, across[0], begin, rows, pattern)
                    _shared_out(pattern, begin, rows)
                    _scores(dgathered, across[1], begin, rows, dpattern)
                    if rate > 0:
                        place = (first + b * n_heads + h) * length * length
                        _copy(pattern, rows, dropped)
                        _drop(dropped, begin, rows, length, rate, key, place)
                        _drop(dpattern, begin, rows, length, rate, key, place)
                    _given_back(dropped, dgathered, begin, rows, dv)
                    _shared_out_backward(pattern, dpattern, begin, rows)
                    _gathered(dpattern, k, begin, rows, dq)
                    _given_back(dpattern, q, begin, rows, dk)
                _write_head_gradient(dq, qkv, b, h, cos, sin, q_weight, scale, rstd[0], dqkv, dq_weight, q)
            _write_head_gradient(dk, qkv, b, n_heads + g, cos, sin, k_weight, ONE, rstd[1], dqkv, dk_weight, k)
            _write_values(dv, b, n_heads + n_shared + g, dqkv)
