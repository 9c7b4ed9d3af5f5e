"""Kernels over the activations between two matrix products: embedding, RMSNorm with the residual sum, dropout and
cross-entropy. Each is one loop over memory, which torch would pass several times.

Axis letters: N tokens (B rows of T)   D d_model   H heads   G key/value heads   K d_head   F d_mlp   V vocabulary
Activations come as float32 or as bfloat16 in uint16 arrays (jit/bfloat16.py); the residual stream, norms' weights and
all gradients of weights are float32. `rstd` is 1 / sqrt(mean(x^2) + eps) of each vector, kept for the backward pass.
What is named `d...` is the gradient of the loss with respect to it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinylm.jit.bfloat16 import cast_like, to_float32
from tinylm.jit.compile import kernel
from tinylm.jit.functions import exp, hash32

ZERO, ONE = np.float32(0.0), np.float32(1.0)


# ---- the residual stream and its norms


@kernel
def embed(ids: Any, table: Any, x: Any) -> None:
    """Looks up x (N, D): the rows of table (V, D) that ids (N) name."""
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
    """RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467): x (N, D) -> y (N, D)."""
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
    """Adds a branch to the residual stream, out = x + branch, and normalises the sum: y = norm(out). All are (N, D)."""
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
    """Backpropagates dy (N, D) through RMSNorm: adds to dx (N, D), the gradient of the residual stream, and to dweight
    (D). The sum in dx is then copied to dbranch, the gradient of the branch that was added before the norm."""
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
    """Dropout of x (numbers), in place. Whether number i falls follows from the key and from `first` + i alone."""
    threshold = np.uint32(rate * 4294967296.0)
    factor = np.float32(1.0 / (1.0 - rate))
    for i in range(x.shape[0]):
        kept = hash32(first + i, key) >= threshold
        x[i] = cast_like(x, to_float32(x[i]) * factor if kept else ZERO)


@kernel
def cross_entropy(logits: Any, targets: Any, ignore: Any, factor: Any, row: Any) -> Any:
    """Sums the loss in nats over the targets (N) that are not `ignore`. The logits (N, V) are overwritten by their
    gradient softmax(logits) - onehot(target), times `factor`.

    Args:
        row: scratch memory (V), float32.
    """
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
