"""Attention of some rows of a batch, forward and backward, one head after the other: from queries, keys and values to
head outputs z, and back.

Nothing but `qkv` and `z` is written to memory, and the backward pass computes the pattern again from `qkv`, as in
FlashAttention (Dao et al. 2022, arXiv 2205.14135). All that a head needs meanwhile is float32 and stays in the
processor's cache: the pattern of `QUERY_BLOCK` queries at a time. Keys later than a query (the causal mask) are
skipped in steps of 16 positions.

    qkv (B, T, H+2G, 2, K/2)    z (B, T, H, 2, K/2)    cos, sin (T, K/2)    weights of QK-norm (2, K/2), or empty

Axis letters as in kernels.py. The two halves of a head, which rotary positions pair, are an axis: an index that is a
plain count is one that a compiler can follow. In the scratch memory T and K are rounded up to whole vectors by zeros:

    heads (7, T, 2, K/2)    transposed (2, 2, K/2, T): keys and values    blocks (3, QUERY_BLOCK, T): patterns
    rstd (2, T): of a query head and of a key head
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from tinylm.jit.bfloat16 import cast_like, to_float32
from tinylm.jit.cache import is_compiled
from tinylm.jit.compile import JIT_DIGEST, digest, kernel, noalias_part
from tinylm.jit.functions import exp, hash32, maximum
from tinylm.jit.llvm import LANES
from tinylm.jit.pointers import at
from tinylm.training.cpu import micro_kernel
from tinylm.training.cpu.micro_kernel import product

QUERY_BLOCK = 64
"""Queries whose patterns are in scratch memory at the same time."""
SOURCES = JIT_DIGEST + digest(micro_kernel.__file__)
ZERO, ONE, LOWEST = np.float32(0.0), np.float32(1.0), np.float32(-np.inf)


def are_compiled() -> bool:
    """True if an earlier program has left the kernels of training compiled, of which these take longest."""
    return is_compiled(attend) and is_compiled(attend_backward)


# ---- heads: read, normalised and rotated, and written


@noalias_part
def _clear(x: Any) -> None:
    for t in range(x.shape[0]):
        for two in range(2):
            for i in range(x.shape[2]):
                x[t, two, i] = ZERO


@noalias_part
def _copy(x: Any, rows: Any, out: Any) -> None:
    for r in range(rows):
        for s in range(x.shape[1]):
            out[r, s] = x[r, s]


@noalias_part
def _read_values(x: Any, b: Any, head: Any, out: Any) -> None:
    for t in range(x.shape[1]):
        for two in range(2):
            for i in range(x.shape[4]):
                out[t, two, i] = to_float32(x[b, t, head, two, i])


@noalias_part
def _write_values(values: Any, b: Any, head: Any, out: Any) -> None:
    for t in range(out.shape[1]):
        for two in range(2):
            for i in range(out.shape[4]):
                out[b, t, head, two, i] = cast_like(out, values[t, two, i])


@noalias_part
def _read_head(qkv: Any, b: Any, head: Any, cos: Any, sin: Any, weight: Any, eps: Any, scale: Any, out: Any,
               rstd: Any) -> None:
    """Reads a query or key head: normalised where there are weights, rotated and scaled -> out (T, 2, K/2). Keeps
    `rstd` (T) for the backward pass."""
    half, normed = qkv.shape[4], weight.shape[0] > 0
    for t in range(qkv.shape[1]):
        squares = ZERO
        for i in range(half):
            one, two = to_float32(qkv[b, t, head, 0, i]), to_float32(qkv[b, t, head, 1, i])
            squares += one * one + two * two
        r = ONE / np.float32(math.sqrt(squares / np.float32(2 * half) + eps))
        rstd[t] = r if normed else ONE
        for i in range(half):
            one, two = to_float32(qkv[b, t, head, 0, i]) * scale, to_float32(qkv[b, t, head, 1, i]) * scale
            if normed:
                one *= r * weight[0, i]
                two *= r * weight[1, i]
            out[t, 0, i] = one * cos[t, i] - two * sin[t, i]
            out[t, 1, i] = two * cos[t, i] + one * sin[t, i]


@noalias_part
def _write_head_gradient(dx: Any, qkv: Any, b: Any, head: Any, cos: Any, sin: Any, weight: Any, scale: Any, rstd: Any,
                         dqkv: Any, dweight: Any, scratch: Any) -> None:
    """Backpropagates dx (T, 2, K/2) through `_read_head` to dqkv and dweight. The terms of dweight are put into
    `scratch` (T, 2, K/2) first: sums that grow in memory, two at a time, would not become vector code."""
    half, normed = qkv.shape[4], weight.shape[0] > 0
    for t in range(qkv.shape[1]):
        dot, r = ZERO, rstd[t] * scale
        if not normed:
            for i in range(half):
                one, two = dx[t, 0, i] * scale, dx[t, 1, i] * scale
                dqkv[b, t, head, 0, i] = cast_like(dqkv, one * cos[t, i] + two * sin[t, i])
                dqkv[b, t, head, 1, i] = cast_like(dqkv, two * cos[t, i] - one * sin[t, i])
            continue
        for i in range(half):
            one, two = dx[t, 0, i] * r, dx[t, 1, i] * r
            dot += (one * cos[t, i] + two * sin[t, i]) * weight[0, i] * to_float32(qkv[b, t, head, 0, i])
            dot += (two * cos[t, i] - one * sin[t, i]) * weight[1, i] * to_float32(qkv[b, t, head, 1, i])
        dot *= rstd[t] * rstd[t] / np.float32(2 * half)
        for i in range(half):
            one, two = dx[t, 0, i] * r, dx[t, 1, i] * r
            one, two = one * cos[t, i] + two * sin[t, i], two * cos[t, i] - one * sin[t, i]
            first, second = to_float32(qkv[b, t, head, 0, i]), to_float32(qkv[b, t, head, 1, i])
            dqkv[b, t, head, 0, i] = cast_like(dqkv, one * weight[0, i] - first * dot)
            dqkv[b, t, head, 1, i] = cast_like(dqkv, two * weight[1, i] - second * dot)
            scratch[t, 0, i] = one * first
            scratch[t, 1, i] = two * second
        for two in range(2):
            for i in range(half):
                dweight[two, i] += scratch[t, two, i]


@noalias_part
def _transpose(x: Any, out: Any) -> None:
    """Transposes x (T, 2, K/2) -> out (2, K/2, T)."""
    for t in range(x.shape[0]):
        for two in range(2):
            for i in range(x.shape[2]):
                out[two, i, t] = x[t, two, i]


@noalias_part
def _scores(x: Any, transposed: Any, begin: Any, rows: Any, out: Any) -> None:
    """Computes out (QUERY_BLOCK, T) = x (T, 2, K/2) @ transposed (2, K/2, T), for the rows of x from `begin` on and the
    columns up to each row's own position."""
    length, width = transposed.shape[2], 2 * transposed.shape[1]
    for r in range(0, rows, LANES):
        product(at(out, r * length), length, LANES, (begin + r) // LANES + 1, at(x, (begin + r) * width), width, 1,
                at(transposed, 0), length, width, False)


@noalias_part
def _weighted_sum(pattern: Any, x: Any, begin: Any, rows: Any, out: Any) -> None:
    """Computes the rows of out (T, 2, K/2) from `begin` on = pattern (QUERY_BLOCK, T) @ x (T, 2, K/2)."""
    length, width = pattern.shape[1], 2 * x.shape[2]
    for r in range(0, rows, LANES):
        product(at(out, (begin + r) * width), width, LANES, width // LANES, at(pattern, r * length), length, 1,
                at(x, 0), width, begin + r + LANES, False)


@noalias_part
def _accumulate_transposed(pattern: Any, x: Any, begin: Any, rows: Any, out: Any) -> None:
    """Adds the transpose of pattern (QUERY_BLOCK, T) @ x to out (T, 2, K/2), for the rows of x from `begin` on: to all
    positions but those later than these rows."""
    length, width = pattern.shape[1], 2 * x.shape[2]
    for s in range(0, begin + rows, LANES):
        skipped = max(0, s - begin)
        product(at(out, s * width), width, LANES, width // LANES, at(pattern, skipped * length + s), 1, length,
                at(x, (begin + skipped) * width), width, rows - skipped, True)


@noalias_part
def _causal_softmax(pattern: Any, begin: Any, rows: Any) -> None:
    """Softmax in place, scores -> pattern: of each query over the keys up to its own position."""
    for r in range(rows):
        t = begin + r
        end = (t // LANES + 1) * LANES  # whole vectors, which leave nothing over that would be computed one by one
        highest, total = LOWEST, ZERO
        for s in range(end):
            highest = maximum(highest, pattern[r, s] if s <= t else LOWEST)
        for s in range(end):
            each = exp(pattern[r, s] - highest) if s <= t else ZERO
            pattern[r, s] = each
            total += each
        share = ONE / total
        for s in range(end):
            pattern[r, s] *= share


@noalias_part
def _causal_softmax_backward(pattern: Any, gradient: Any, begin: Any, rows: Any) -> None:
    """Turns the gradient of the pattern into that of the scores, in place: dscores = pattern * (dpattern - their dot
    product). Keys later than a query get none."""
    for r in range(rows):
        end, dot = ((begin + r) // LANES + 1) * LANES, ZERO
        for s in range(end):
            dot += pattern[r, s] * gradient[r, s]
        for s in range(end):
            gradient[r, s] = pattern[r, s] * (gradient[r, s] - dot)


@noalias_part
def _apply_dropout(pattern: Any, begin: Any, rows: Any, length: Any, rate: Any, key: Any, first: Any) -> None:
    """Dropout in place. Whether a number falls follows from the key and from its index in the patterns (B, H, T, T) of
    the whole batch, where this head's begin at `first`."""
    threshold = np.uint32(rate * 4294967296.0)
    factor = np.float32(1.0 / (1.0 - rate))
    for r in range(rows):
        for s in range(((begin + r) // LANES + 1) * LANES):
            kept = hash32(first + (begin + r) * length + s, key) >= threshold
            pattern[r, s] = pattern[r, s] * factor if kept else ZERO


@partial(kernel, sources=SOURCES)
def attend(qkv: Any, cos: Any, sin: Any, q_weight: Any, k_weight: Any, eps: Any, scale: Any, rate: Any, key: Any,
           first: Any, z: Any, heads: Any, transposed: Any, blocks: Any, rstd: Any) -> None:
    """Computes the head outputs z from qkv.

    Args:
        rate, key: of dropout in the pattern. Rate 0: there is none.
        first: the index of these rows' first pattern among the (B, H) of the whole batch.
        heads, transposed, blocks, rstd: scratch memory, as the head of this file says.
    """
    length, n_heads = qkv.shape[1], z.shape[2]
    n_kv_heads = (qkv.shape[2] - n_heads) // 2
    share = n_heads // n_kv_heads
    q, k, v, z_head, pattern = heads[0], heads[1], heads[2], heads[3], blocks[0]
    for slot in range(heads.shape[0]):
        _clear(heads[slot])
    for b in range(qkv.shape[0]):
        for g in range(n_kv_heads):
            _read_head(qkv, b, n_heads + g, cos, sin, k_weight, eps, ONE, k, rstd[1])
            _read_values(qkv, b, n_heads + n_kv_heads + g, v)
            _transpose(k, transposed[0])
            for h in range(g * share, (g + 1) * share):
                _read_head(qkv, b, h, cos, sin, q_weight, eps, scale, q, rstd[0])
                for begin in range(0, pattern.shape[1], QUERY_BLOCK):
                    rows = min(QUERY_BLOCK, pattern.shape[1] - begin)
                    _scores(q, transposed[0], begin, rows, pattern)
                    _causal_softmax(pattern, begin, rows)
                    if rate > 0:
                        offset = (first + b * n_heads + h) * length * length
                        _apply_dropout(pattern, begin, rows, length, rate, key, offset)
                    _weighted_sum(pattern, v, begin, rows, z_head)
                _write_values(z_head, b, h, z)


@partial(kernel, sources=SOURCES)
def attend_backward(qkv: Any, cos: Any, sin: Any, q_weight: Any, k_weight: Any, eps: Any, scale: Any, rate: Any,
                    key: Any, first: Any, dz: Any, dqkv: Any, dq_weight: Any, dk_weight: Any, heads: Any,
                    transposed: Any, blocks: Any, rstd: Any) -> None:
    """Computes dqkv from dz, and adds to the gradients of the weights of QK-norm. Arguments as of `attend`."""
    length, n_heads = qkv.shape[1], dz.shape[2]
    n_kv_heads = (qkv.shape[2] - n_heads) // 2
    share = n_heads // n_kv_heads
    q, k, v, dz_head, dq, dk, dv = heads[0], heads[1], heads[2], heads[3], heads[4], heads[5], heads[6]
    pattern, dpattern = blocks[0], blocks[1]
    dropped = blocks[2] if rate > 0 else pattern
    for slot in range(heads.shape[0]):
        _clear(heads[slot])
    for b in range(qkv.shape[0]):
        for g in range(n_kv_heads):
            _read_head(qkv, b, n_heads + g, cos, sin, k_weight, eps, ONE, k, rstd[1])
            _read_values(qkv, b, n_heads + n_kv_heads + g, v)
            _transpose(k, transposed[0])
            _transpose(v, transposed[1])
            _clear(dk)
            _clear(dv)
            for h in range(g * share, (g + 1) * share):
                _read_head(qkv, b, h, cos, sin, q_weight, eps, scale, q, rstd[0])
                _read_values(dz, b, h, dz_head)
                for begin in range(0, pattern.shape[1], QUERY_BLOCK):
                    rows = min(QUERY_BLOCK, pattern.shape[1] - begin)
                    _scores(q, transposed[0], begin, rows, pattern)
                    _causal_softmax(pattern, begin, rows)
                    _scores(dz_head, transposed[1], begin, rows, dpattern)
                    if rate > 0:
                        offset = (first + b * n_heads + h) * length * length
                        _copy(pattern, rows, dropped)
                        _apply_dropout(dropped, begin, rows, length, rate, key, offset)
                        _apply_dropout(dpattern, begin, rows, length, rate, key, offset)
                    _accumulate_transposed(dropped, dz_head, begin, rows, dv)
                    _causal_softmax_backward(pattern, dpattern, begin, rows)
                    _weighted_sum(dpattern, k, begin, rows, dq)
                    _accumulate_transposed(dpattern, q, begin, rows, dk)
                _write_head_gradient(dq, qkv, b, h, cos, sin, q_weight, scale, rstd[0], dqkv, dq_weight, q)
            _write_head_gradient(dk, qkv, b, n_heads + g, cos, sin, k_weight, ONE, rstd[1], dqkv, dk_weight, k)
            _write_values(dv, b, n_heads + n_kv_heads + g, dqkv)
