"""The transformer written out in NumPy, in 64 bits: what the inspection of a model is held against.

Nothing here comes from the model: the formulas are those of the papers that transformer.py names. A `change` may
replace an activation by its name, and every activation is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig

Array = NDArray[np.float64]
Change = Callable[[str, Array], Array]


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "squared_relu": lambda x: np.maximum(x, 0) ** 2, "gelu": gelu,
               "swiglu": lambda x: x / (1 + np.exp(-x))}


class NumpyModel:
    """A model from its parameters by name."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Any]) -> None:
        self.config = config
        self.weights = {name: np.asarray(tensor.detach(), np.float64) for name, tensor in weights.items()}

    def __call__(self, ids: list[int], change: Change = lambda _, x: x) -> dict[str, Array]:
        """Every activation without its batch axis, by name."""
        kept: dict[str, Array] = {}

        def tap(name: str, x: Array) -> Array:
            kept[name] = change(name, x)
            return kept[name]

        x = tap("embed", self.weights["embed.weight"][ids])
        if self.config.positions == "learned":
            x = x + self.weights["positions.weight"][:len(ids)]
        for i in range(self.config.n_layers):
            x = self.layer(x, f"layers.{i}.", tap)
        x = tap("ln_f", self.norm(x, "ln_f"))
        head = self.weights["embed.weight" if self.config.tied_embeddings else "out_head.weight"]
        tap("logits", x @ head.T + self.weights.get("out_head.bias", 0.0))
        return kept

    def layer(self, x: Array, at: str, tap: Callable[[str, Array], Array]) -> Array:
        x = tap(at + "resid_pre", x)
        if self.config.norm_position == "pre":
            x = tap(at + "resid_mid", x + tap(at + "attn_out", self.attention(self.norm(x, at + "norm1"), at, tap)))
            return tap(at + "resid_post", x + tap(at + "mlp_out", self.mlp(self.norm(x, at + "norm2"), at, tap)))
        x = tap(at + "resid_mid", self.norm(x + tap(at + "attn_out", self.attention(x, at, tap)), at + "norm1"))
        return tap(at + "resid_post", self.norm(x + tap(at + "mlp_out", self.mlp(x, at, tap)), at + "norm2"))

    def attention(self, x: Array, at: str, tap: Callable[[str, Array], Array]) -> Array:
        config, at = self.config, at + "attn."
        q, k, v = (self.linear(x, f"{at}{name}_proj").reshape(len(x), heads, config.d_head).swapaxes(0, 1)
                   for name, heads in (("q", config.n_heads), ("k", config.n_kv_heads), ("v", config.n_kv_heads)))
        if config.qk_norm:
            q, k = self.rms(q, at + "q_norm"), self.rms(k, at + "k_norm")
        if config.positions == "rotary":
            q, k = self.turn(q), self.turn(k)
        q, k, v = tap(at + "q", q), tap(at + "k", k), tap(at + "v", v)
        each = config.n_heads // config.n_kv_heads
        scores = np.stack([q[h] @ k[h // each].T / np.sqrt(config.d_head) for h in range(config.n_heads)])
        if config.causal:
            scores[:, np.triu(np.ones(scores.shape[1:], bool), 1)] = -np.inf
        pattern = tap(at + "pattern", softmax(tap(at + "scores", scores)))
        z = tap(at + "z", np.stack([pattern[h] @ v[h // each] for h in range(config.n_heads)]))
        return self.linear(np.concatenate(list(z), axis=-1), at + "o_proj")

    def mlp(self, x: Array, at: str, tap: Callable[[str, Array], Array]) -> Array:
        activation, up = ACTIVATIONS[self.config.mlp], self.linear(x, at + "mlp.up_proj")
        if self.config.mlp == "swiglu":
            gate = tap(at + "mlp_pre", self.linear(x, at + "mlp.gate_proj"))
            return self.linear(tap(at + "mlp_post", activation(gate) * up), at + "mlp.down_proj")
        return self.linear(tap(at + "mlp_post", activation(tap(at + "mlp_pre", up))), at + "mlp.down_proj")

    def linear(self, x: Array, name: str) -> Array:
        return x @ self.weights[name + ".weight"].T + self.weights.get(name + ".bias", 0.0)

    def norm(self, x: Array, name: str) -> Array:
        if self.config.norm == "rmsnorm":
            return self.rms(x, name)
        x = x - x.mean(-1, keepdims=True)
        return self.rms(x, name) + self.weights.get(name + ".bias", 0.0)

    def rms(self, x: Array, name: str) -> Array:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + self.config.norm_eps) * self.weights[name + ".weight"]

    def turn(self, x: Array) -> Array:
        half = self.config.d_head // 2
        angles = np.arange(x.shape[1])[:, None] * self.config.rope_theta ** (-np.arange(half) / half)
        pairs = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)
        return np.concatenate([pairs.real, pairs.imag], axis=-1)
