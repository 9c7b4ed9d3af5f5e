"""The MLP's bends and their ways back: pre (N, F) -> post (N, F), and dpost -> dpre. swiglu reads the gate and the
other view of the input side by side, (N, 2, F). Axis letters as in kernels.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinylm.jit.bfloat16 import cast_like, sigmoid, to_float32
from tinylm.jit.compile import kernel
from tinylm.training.cpu.kernels import ONE, ZERO


@kernel
def swiglu(pre: Any, post: Any) -> None:
    for n in range(post.shape[0]):
        for f in range(post.shape[1]):
            gate = to_float32(pre[n, 0, f])
            post[n, f] = cast_like(post, gate * sigmoid(gate) * to_float32(pre[n, 1, f]))


@kernel
def swiglu_backward(pre: Any, dpost: Any, dpre: Any) -> None:
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
            post[n, f] = cast_like(post, max(to_float32(pre[n, f]), ZERO))


@kernel
def relu_backward(pre: Any, dpost: Any, dpre: Any) -> None:
    for n in range(dpost.shape[0]):
        for f in range(dpost.shape[1]):
            dpre[n, f] = cast_like(dpre, to_float32(dpost[n, f]) if to_float32(pre[n, f]) > ZERO else ZERO)


@kernel
def squared_relu(pre: Any, post: Any) -> None:
    for n in range(post.shape[0]):
        for f in range(post.shape[1]):
            positive = max(to_float32(pre[n, f]), ZERO)
            post[n, f] = cast_like(post, positive * positive)


@kernel
def squared_relu_backward(pre: Any, dpost: Any, dpre: Any) -> None:
    for n in range(dpost.shape[0]):
        for f in range(dpost.shape[1]):
            positive = max(to_float32(pre[n, f]), ZERO)
            dpre[n, f] = cast_like(dpre, to_float32(dpost[n, f]) * (positive + positive))


_GELU_SCALE, _GELU_CUBE = np.float32(2 * math.sqrt(2 / math.pi)), np.float32(0.044715)
_THREE = np.float32(3.0)


@kernel
def gelu(pre: Any, post: Any) -> None:
    """x * (1 + tanh(u)) / 2 = x * sigmoid(2u) with u = sqrt(2/pi) * (x + 0.044715 x^3)."""
    for n in range(post.shape[0]):
        for f in range(post.shape[1]):
            x = to_float32(pre[n, f])
            post[n, f] = cast_like(post, x * sigmoid(_GELU_SCALE * (x + _GELU_CUBE * x * x * x)))


@kernel
def gelu_backward(pre: Any, dpost: Any, dpre: Any) -> None:
    for n in range(dpost.shape[0]):
        for f in range(dpost.shape[1]):
            x = to_float32(pre[n, f])
            s = sigmoid(_GELU_SCALE * (x + _GELU_CUBE * x * x * x))
            slope = _GELU_SCALE * (ONE + _THREE * _GELU_CUBE * x * x)
            dpre[n, f] = cast_like(dpre, to_float32(dpost[n, f]) * s * (ONE + x * slope * (ONE - s)))


ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "swiglu": (swiglu, swiglu_backward), "relu": (relu, relu_backward), "gelu": (gelu, gelu_backward),
    "squared_relu": (squared_relu, squared_relu_backward),
}
"""By their names in a config."""
