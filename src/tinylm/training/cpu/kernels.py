"""The passes over activations between the matrix products, each in one loop over memory: compiled on first use, and
kept on disk for the next program.

Axis letters: N tokens (B rows of T)   D d_model   H heads   G key/value heads   K d_head   F d_mlp   V vocabulary
Activations come as float32 or as bfloat16 in uint16 arrays (numbers.py); the residual stream, norms' weights and all
gradients of weights are float32. `rstd` is 1 / sqrt(mean(x^2) + eps) of each vector, kept for the backward pass.
What is named `d...` is the gradient of the loss with respect to it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinylm.jit.bfloat16 import cast_like, exp, hash32, to_float32
from tinylm.jit.compile import kernel

ZERO, ONE = np.float32(0.0), np.float32(1.0)


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
            y[n, d] = cast_like(y, x[n, d] * r * weight[d])


@kernel
def add_norm(x: Any, branch: Any, weight: Any, eps: Any, out: Any, y: Any, rstd: Any) -> None:
    """The residual stream goes on, out = x + branch, and is normalised for the next reader: all (N, D)."""
    width = x.shape[1]
    for n in range(x.shape[0]):
        squares = ZERO
        for d in range(width):
            added = x[n, d] + to_float32(branch[n, d])
            out[n, d] = added
            squares += added * added
        r = ONE / np.float32(math.sqrt(squares / np.float32(width) + eps))
        rstd[n] = r
        for d in range(width):
            y[n, d] = cast_like(y, out[n, d] * r * weight[d])


@kernel
def norm_backward(dy: Any, x: Any, rstd: Any, weight: Any, dx: Any, dweight: Any, dbranch: Any) -> None:
    """Adds the norm's part to dx (N, D), the gradient of the stream, and copies that for the branch before it."""
    width = x.shape[1]
    for n in range(x.shape[0]):
        r, dot = rstd[n], ZERO
        for d in range(width):
            dot += to_float32(dy[n, d]) * weight[d] * x[n, d]
        dot *= r * r * r / np.float32(width)
        for d in range(width):
            g = to_float32(dy[n, d])
            total = dx[n, d] + r * g * weight[d] - x[n, d] * dot
            dx[n, d] = total
            dweight[d] += g * x[n, d] * r
            dbranch[n, d] = cast_like(dbranch, total)


# ---- dropout, and the loss


@kernel
def apply_dropout(x: Any, rate: Any, key: Any, first: Any) -> None:
    """Dropout of x (numbers), in place: which fall follows from the key and from the place, `first` + i, alone."""
    threshold = np.uint32(rate * 4294967296.0)
    factor = np.float32(1.0 / (1.0 - rate))
    for i in range(x.shape[0]):
        kept = hash32(first + i, key) >= threshold
        x[i] = cast_like(x, to_float32(x[i]) * factor if kept else ZERO)


@kernel
def cross_entropy(logits: Any, targets: Any, ignore: Any, factor: Any, row: Any) -> Any:
    """The loss in nats, summed over the targets (N) that are not `ignore`; logits (N, V) become their own gradient,
    times `factor`."""
    nats, width = 0.0, logits.shape[1]
    for n in range(targets.shape[0]):
        target = targets[n]
        if target == ignore:
            for v in range(width):
                logits[n, v] = cast_like(logits, ZERO)
            continue
        highest = np.float32(-np.inf)
        for v in range(width):
            row[v] = to_float32(logits[n, v])
            highest = max(highest, row[v])
        wanted, total = row[target], ZERO
        for v in range(width):
            row[v] = exp(row[v] - highest)
            total += row[v]
        nats += math.log(total) + highest - wanted
        each = factor / total
        row[target] -= total
        for v in range(width):
            logits[n, v] = cast_like(logits, row[v] * each)
    return nats
