"""The activation functions of an MLP (jit/functions.py) over whole arrays, forward and backward: pre (N, F) -> post
(N, F), and dpost -> dpre. SwiGLU reads the gate and the up projection side by side, (N, 2, F). Axis letters as in
kernels.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinylm.jit import functions
from tinylm.jit.bfloat16 import cast_like, to_float32
from tinylm.jit.compile import kernel
from tinylm.jit.functions import GELU_CUBIC, GELU_SCALE, sigmoid, silu
from tinylm.training.cpu.kernels import ONE, ZERO

_relu, _squared_relu, _gelu = functions.relu, functions.squared_relu, functions.gelu
_THREE = np.float32(3.0)


@kernel
def swiglu(pre: Any, post: Any) -> None:
    """silu(gate) * up."""
    for n in range(post.shape[0]):
        for f in range(post.shape[1]):
            post[n, f] = cast_like(post, silu(to_float32(pre[n, 0, f])) * to_float32(pre[n, 1, f]))


@kernel
def swiglu_backward(pre: Any, dpost: Any, dpre: Any) -> None:
    """d silu / d gate = s * (1 + gate * (1 - s)) with s = sigmoid(gate)."""
    for n in range(dpost.shape[0]):
        for f in range(dpost.shape[1]):
            gate, up, d = to_float32(pre[n, 0, f]), to_float32(pre[n, 1, f]), to_float32(dpost[n, f])
            s = sigmoid(gate)
            dpre[n, 0, f] = cast_like(dpre, d * up * s * (ONE + gate * (ONE - s)))
            dpre[n, 1, f] = cast_like(dpre, d * gate * s)


@kernel
def relu(pre: Any, post: Any) -> None:
    for n in range(post.shape[0]):
        for f in range(post.shape[1]):
            post[n, f] = cast_like(post, _relu(to_float32(pre[n, f])))


@kernel
def relu_backward(pre: Any, dpost: Any, dpre: Any) -> None:
    for n in range(dpost.shape[0]):
        for f in range(dpost.shape[1]):
            dpre[n, f] = cast_like(dpre, to_float32(dpost[n, f]) if to_float32(pre[n, f]) > ZERO else ZERO)


@kernel
def squared_relu(pre: Any, post: Any) -> None:
    for n in range(post.shape[0]):
        for f in range(post.shape[1]):
            post[n, f] = cast_like(post, _squared_relu(to_float32(pre[n, f])))


@kernel
def squared_relu_backward(pre: Any, dpost: Any, dpre: Any) -> None:
    for n in range(dpost.shape[0]):
        for f in range(dpost.shape[1]):
            positive = max(to_float32(pre[n, f]), ZERO)
            dpre[n, f] = cast_like(dpre, to_float32(dpost[n, f]) * (positive + positive))


@kernel
def gelu(pre: Any, post: Any) -> None:
    for n in range(post.shape[0]):
        for f in range(post.shape[1]):
            post[n, f] = cast_like(post, _gelu(to_float32(pre[n, f])))


@kernel
def gelu_backward(pre: Any, dpost: Any, dpre: Any) -> None:
    """d gelu / d x = s * (1 + x * v' * (1 - s)) with v = 2u of `functions.gelu` and s = sigmoid(v)."""
    for n in range(dpost.shape[0]):
        for f in range(dpost.shape[1]):
            x = to_float32(pre[n, f])
            s = sigmoid(GELU_SCALE * (x + GELU_CUBIC * x * x * x))
            slope = GELU_SCALE * (ONE + _THREE * GELU_CUBIC * x * x)
            dpre[n, f] = cast_like(dpre, to_float32(dpost[n, f]) * s * (ONE + x * slope * (ONE - s)))


ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "swiglu": (swiglu, swiglu_backward), "relu": (relu, relu_backward), "gelu": (gelu, gelu_backward),
    "squared_relu": (squared_relu, squared_relu_backward),
}
"""Forward and backward kernels, by the names in a config."""
