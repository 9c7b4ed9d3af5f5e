"""The passes over activations between the matrix products, each in one loop over memory: compiled on first use, and
kept on disk for the next program.

Axis letters: N tokens (B rows of T)   D d_model   H heads   G key/value heads   K d_head   F d_mlp   V vocabulary
              P B*H: one row of attention for each head
Activations come as float32 or as bfloat16 in uint16 arrays (numbers.py); the residual stream, norms' weights and all
gradients of weights are float32. `rstd` is 1 / sqrt(mean(x^2) + eps) of each vector, kept for the backward pass.
What is named `d...` is the gradient of the loss with respect to it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinylm.compiled.compiling import inlined, is_compiled, kernel
from tinylm.compiled.numbers import exp, hashed, read, stored

ZERO, ONE = np.float32(0.0), np.float32(1.0)


def are_compiled() -> bool:
    """Whether an earlier program has left the kernels compiled."""
    return is_compiled(norm)


# ---- the residual stream and its norms


@kernel
def embed(ids: Any, table: Any, x: Any) -> None:
    """x (N, D) = the rows of table (V, D) that ids (N) name."""
    for n in range(ids.shape[0]):
        for d in range(x.shape[1]):
            x[n, d] = table[ids[n], d]


@kernel
def embed_backward(ids: Any, dx: Any, dtable: Any) -> None:
    """Adds each dx (N, D) to the row of its id."""
    for n in range(ids.shape[0]):
        for d in range(dx.shape[1]):
            dtable[ids[n], d] += dx[n, d]


@kernel
def norm(x: Any, weight: Any, eps: Any, y: Any, rstd: Any) -> None:
    """RMSNorm: x (N, D) -> y (N, D)."""
    width = x.shape[1]
    for n in range(x.shape[0]):
        squares = ZERO
        for d in range(width):
            squares += x[n, d] * x[n, d]
        r = ONE / np.float32(math.sqrt(squares / np.float32(width) + eps))
        rstd[n] = r
        for d in range(width):
            y[n, d] = stored(y, x[n, d] * r * weight[d])


@kernel
def add_norm(x: Any, branch: Any, weight: Any, eps: Any, out: Any, y: Any, rstd: Any) -> None:
    """The residual stream goes on, out = x + branch, and is normalised for the next reader: all (N, D)."""
    width = x.shape[1]
    for n in range(x.shape[0]):
        squares = ZERO
        for d in range(width):
            added = x[n, d] + read(branch[n, d])
            out[n, d] = added
            squares += added * added
        r = ONE / np.float32(math.sqrt(squares / np.float32(width) + eps))
        rstd[n] = r
        for d in range(width):
            y[n, d] = stored(y, out[n, d] * r * weight[d])


@kernel
def norm_backward(dy: Any, x: Any, rstd: Any, weight: Any, dx: Any, dweight: Any, dbranch: Any) -> None:
    """Adds the norm's part to dx (N, D), the gradient of the stream, and copies that for the branch before it."""
    width = x.shape[1]
    for n in range(x.shape[0]):
        r, along = rstd[n], ZERO
        for d in range(width):
            along += read(dy[n, d]) * weight[d] * x[n, d]
        along *= r * r * r / np.float32(width)
        for d in range(width):
            g = read(dy[n, d])
            total = dx[n, d] + r * g * weight[d] - x[n, d] * along
            dx[n, d] = total
            dweight[d] += g * x[n, d] * r
            dbranch[n, d] = stored(dbranch, total)


# ---- attention


@kernel
def split_heads(qkv: Any, cos: Any, sin: Any, q_weight: Any, k_weight: Any, eps: Any, scale: Any, q: Any, k: Any,
                v: Any, rstd: Any, row: Any) -> None:
    """qkv (B, T, H+2G, 2, K/2) -> q, k, v (B, H, T, 2, K/2) each: queries and keys normalised (where there are weights)
    and turned by cos and sin (T, K/2); queries scaled; each key/value head given to all the query heads that share it.

    The two halves of a head are an axis, since an index that is a plain count is one that a compiler can follow.
    """
    n_heads = q.shape[1]
    n_shared = (qkv.shape[2] - n_heads) // 2
    share = n_heads // n_shared
    for b in range(qkv.shape[0]):
        for t in range(qkv.shape[1]):
            for h in range(n_heads):
                rstd[b, t, h] = _read_head(qkv, b, t, h, q_weight, eps, scale, row)
                _turn(row, cos, sin, q, b, h, t)
            for g in range(n_shared):
                rstd[b, t, n_heads + g] = _read_head(qkv, b, t, n_heads + g, k_weight, eps, ONE, row)
                for h in range(g * share, (g + 1) * share):
                    _turn(row, cos, sin, k, b, h, t)
            for h in range(n_heads):
                for two in range(2):
                    for i in range(qkv.shape[4]):
                        v[b, h, t, two, i] = qkv[b, t, n_heads + n_shared + h // share, two, i]


@inlined
def _read_head(qkv: Any, b: Any, t: Any, head: Any, weight: Any, eps: Any, scale: Any, row: Any) -> Any:
    """The numbers of one head, normalised where there are weights. Returns their `rstd`."""
    half = row.shape[1]
    squares = ZERO
    for i in range(half):
        one, two = read(qkv[b, t, head, 0, i]), read(qkv[b, t, head, 1, i])
        row[0, i], row[1, i] = one, two
        squares += one * one + two * two
    if weight.shape[0] == 0:
        for i in range(half):
            row[0, i] *= scale
            row[1, i] *= scale
        return ONE
    r = ONE / np.float32(math.sqrt(squares / np.float32(2 * half) + eps))
    for i in range(half):
        row[0, i] *= r * scale * weight[0, i]
        row[1, i] *= r * scale * weight[1, i]
    return r


@inlined
def _turn(row: Any, cos: Any, sin: Any, out: Any, b: Any, h: Any, t: Any) -> None:
    for i in range(row.shape[1]):
        out[b, h, t, 0, i] = stored(out, row[0, i] * cos[t, i] - row[1, i] * sin[t, i])
        out[b, h, t, 1, i] = stored(out, row[1, i] * cos[t, i] + row[0, i] * sin[t, i])


@kernel
def split_heads_backward(dq: Any, dk: Any, dv: Any, qkv: Any, cos: Any, sin: Any, q_weight: Any, k_weight: Any,
                         scale: Any, rstd: Any, dqkv: Any, dq_weight: Any, dk_weight: Any, row: Any) -> None:
    """dq, dk, dv (B, H, T, 2, K/2) -> dqkv (B, T, H+2G, 2, K/2), all ways back of `split_heads`."""
    n_heads = dq.shape[1]
    n_shared = (qkv.shape[2] - n_heads) // 2
    share = n_heads // n_shared
    for b in range(qkv.shape[0]):
        for t in range(qkv.shape[1]):
            for h in range(n_heads):
                _add_heads(dq, b, h, h + 1, t, scale, row)
                _turn_back(row, cos, sin, t)
                _norm_head_backward(row, qkv, b, t, h, rstd[b, t, h], q_weight, dqkv, dq_weight)
            for g in range(n_shared):
                _add_heads(dk, b, g * share, (g + 1) * share, t, ONE, row)
                _turn_back(row, cos, sin, t)
                _norm_head_backward(row, qkv, b, t, n_heads + g, rstd[b, t, n_heads + g], k_weight, dqkv, dk_weight)
            for g in range(n_shared):
                _add_heads(dv, b, g * share, (g + 1) * share, t, ONE, row)
                for two in range(2):
                    for i in range(row.shape[1]):
                        dqkv[b, t, n_heads + n_shared + g, two, i] = stored(dqkv, row[two, i])


@inlined
def _add_heads(dx: Any, b: Any, h: Any, stop: Any, t: Any, scale: Any, row: Any) -> None:
    """row = the sum of the heads h to stop, for one shared head served them all."""
    for i in range(row.shape[1]):
        row[0, i] = read(dx[b, h, t, 0, i]) * scale
        row[1, i] = read(dx[b, h, t, 1, i]) * scale
    for other in range(h + 1, stop):
        for i in range(row.shape[1]):
            row[0, i] += read(dx[b, other, t, 0, i]) * scale
            row[1, i] += read(dx[b, other, t, 1, i]) * scale


@inlined
def _turn_back(row: Any, cos: Any, sin: Any, t: Any) -> None:
    for i in range(row.shape[1]):
        one, two = row[0, i], row[1, i]
        row[0, i] = one * cos[t, i] + two * sin[t, i]
        row[1, i] = two * cos[t, i] - one * sin[t, i]


@inlined
def _norm_head_backward(dy: Any, qkv: Any, b: Any, t: Any, head: Any, r: Any, weight: Any, dqkv: Any,
                        dweight: Any) -> None:
    half = dy.shape[1]
    if weight.shape[0] == 0:
        for i in range(half):
            dqkv[b, t, head, 0, i] = stored(dqkv, dy[0, i])
            dqkv[b, t, head, 1, i] = stored(dqkv, dy[1, i])
        return
    along = ZERO
    for i in range(half):
        along += dy[0, i] * weight[0, i] * read(qkv[b, t, head, 0, i])
        along += dy[1, i] * weight[1, i] * read(qkv[b, t, head, 1, i])
    along *= r * r * r / np.float32(2 * half)
    for two in range(2):
        for i in range(half):
            number = read(qkv[b, t, head, two, i])
            dqkv[b, t, head, two, i] = stored(dqkv, r * dy[two, i] * weight[two, i] - number * along)
            dweight[two, i] += dy[two, i] * number * r


@kernel
def causal_softmax(scores: Any, pattern: Any, row: Any) -> None:
    """scores (P, T, T) -> pattern: each query shares its attention out among the keys up to its own place."""
    length = scores.shape[1]
    for p in range(scores.shape[0]):
        for t in range(length):
            highest = np.float32(-np.inf)
            for s in range(t + 1):
                row[s] = read(scores[p, t, s])
                highest = max(highest, row[s])
            total = ZERO
            for s in range(t + 1):
                row[s] = exp(row[s] - highest)
                total += row[s]
            each = ONE / total
            for s in range(t + 1):
                pattern[p, t, s] = stored(pattern, row[s] * each)
            for s in range(t + 1, length):
                pattern[p, t, s] = stored(pattern, ZERO)


@kernel
def causal_softmax_backward(pattern: Any, gradient: Any) -> None:
    """The gradient of the pattern (P, T, T) becomes that of the scores; nothing flows back to keys that lie ahead."""
    length = pattern.shape[1]
    for p in range(pattern.shape[0]):
        for t in range(length):
            along = ZERO
            for s in range(t + 1):
                along += read(pattern[p, t, s]) * read(gradient[p, t, s])
            for s in range(t + 1):
                gradient[p, t, s] = stored(gradient, read(pattern[p, t, s]) * (read(gradient[p, t, s]) - along))
            for s in range(t + 1, length):
                gradient[p, t, s] = stored(gradient, ZERO)


@kernel
def join_heads(z: Any, out: Any) -> None:
    """z (B, H, T, K) -> out (B, T, H, K)."""
    for b in range(z.shape[0]):
        for t in range(z.shape[2]):
            for h in range(z.shape[1]):
                for i in range(z.shape[3]):
                    out[b, t, h, i] = z[b, h, t, i]


@kernel
def join_heads_backward(dout: Any, dz: Any) -> None:
    """dout (B, T, H, K) -> dz (B, H, T, K)."""
    for b in range(dz.shape[0]):
        for t in range(dz.shape[2]):
            for h in range(dz.shape[1]):
                for i in range(dz.shape[3]):
                    dz[b, h, t, i] = dout[b, t, h, i]


# ---- dropout, and the loss


@kernel
def drop(x: Any, rate: Any, key: Any, first: Any) -> None:
    """Dropout of x (numbers), in place: which fall follows from the key and from the place, `first` + i, alone."""
    threshold = np.uint32(rate * 4294967296.0)
    factor = np.float32(1.0 / (1.0 - rate))
    for i in range(x.shape[0]):
        kept = hashed(first + i, key) >= threshold
        x[i] = stored(x, read(x[i]) * factor if kept else ZERO)


@kernel
def cross_entropy(logits: Any, targets: Any, ignore: Any, factor: Any, row: Any) -> Any:
    """The loss in nats, summed over the targets (N) that are not `ignore`; logits (N, V) become their own gradient,
    times `factor`."""
    nats, width = 0.0, logits.shape[1]
    for n in range(targets.shape[0]):
        target = targets[n]
        if target == ignore:
            for v in range(width):
                logits[n, v] = stored(logits, ZERO)
            continue
        highest = np.float32(-np.inf)
        for v in range(width):
            row[v] = read(logits[n, v])
            highest = max(highest, row[v])
        wanted, total = row[target], ZERO
        for v in range(width):
            row[v] = exp(row[v] - highest)
            total += row[v]
        nats += math.log(total) + highest - wanted
        each = factor / total
        row[target] -= total
        for v in range(width):
            logits[n, v] = stored(logits, row[v] * each)
    return nats
