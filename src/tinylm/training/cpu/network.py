"""Forward and backward pass of the transformer for some rows of a batch, written out by hand: model/transformer.py,
step for step, and then the same steps in the other direction. One thread computes both, so nothing waits for another
thread.

Axis letters as in kernels.py. Matrices and most activations are in the precision of the run (bfloat16 or float32); the
residual stream and the gradients of the weights are float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig
from tinylm.jit.arrays import round_up
from tinylm.jit.llvm import LANES
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import IGNORE
from tinylm.training.cpu import attention, kernels
from tinylm.training.cpu.activations import ACTIVATIONS
from tinylm.training.cpu.buffers import NO_BUFFER, Buffer, BufferPool, SizeOnlyPool, as_buffer
from tinylm.training.cpu.matrices import Matrix, Scratch, add_gradient

PATTERN, ATTN_OUT, MLP_POST, MLP_OUT = range(4)
"""The four sites of dropout in a layer."""
F32 = torch.float32
M = TypeVar("M", Matrix, Buffer)


@dataclass(frozen=True)
class LayerTensors(Generic[M]):
    """The weights of a layer, or their gradients. Matrices that read the same input are one: q, k and v (H+2G)*K x D,
    and gate and up 2F x D."""

    norm1: Buffer
    qkv: M
    q_norm: Buffer
    k_norm: Buffer
    o: M
    norm2: Buffer
    up: M
    down: M


class Tensors(NamedTuple, Generic[M]):
    """The weights of a model, or their gradients."""

    embed: Buffer
    layers: list[LayerTensors[M]]
    ln_f: Buffer
    head: M


class Dropout(NamedTuple):
    """Dropout of a batch. Whether a number falls is a function of the key of its layer and site, and of its index in
    the whole batch."""

    rate: float
    keys: NDArray[np.int64]  # (layers, 4)

    def apply(self, x: Buffer, layer: int, site: int, first: int) -> None:
        """Applies dropout to x in place.

        Args:
            first: the index of its first row in the whole batch.
        """
        flat = x.a.reshape(-1)
        kernels.apply_dropout(flat, self.rate, self.keys[layer, site], first * (flat.shape[0] // x.a.shape[0]))


class _Shapes:
    """Shapes of buffers, as matrices and as the kernels see them."""

    def __init__(self, config: ModelConfig, rows: int, length: int) -> None:
        n, heads, shared, half = rows * length, config.n_heads, config.n_kv_heads, config.d_head // 2
        pres = 2 if config.is_gated else 1
        self.tokens = (n,)
        self.stream, self.hidden, self.logits = (n, config.d_model), (n, config.d_mlp), (n, config.vocab_size)
        self.pre = (n, pres * config.d_mlp), (n, *((2,) if pres == 2 else ()), config.d_mlp)
        self.qkv = (n, 2 * half * (heads + 2 * shared)), (rows, length, heads + 2 * shared, 2, half)
        self.z = (n, 2 * half * heads), (rows, length, heads, 2, half)
        whole, wide = round_up(length, LANES), round_up(2 * half, LANES)
        self.heads, self.transposed = (7, whole, 2, wide // 2), (2, 2, wide // 2, whole)
        self.blocks, self.normed = (3, min(attention.QUERY_BLOCK, whole), whole), (2, length)


class _LayerBuffers:
    """The activations of a layer that the backward pass reads."""

    def __init__(self, pool: BufferPool, layer: int, shapes: _Shapes, dtype: torch.dtype) -> None:
        def take(name: str, shape: tuple[int, ...], parts: tuple[int, ...] = (), dtype: torch.dtype = dtype) -> Buffer:
            return pool.take((layer, name), shape, parts, dtype=dtype)

        self.x, self.mid = take("x", shapes.stream, dtype=F32), take("mid", shapes.stream, dtype=F32)
        self.rstd1, self.rstd2 = take("rstd1", shapes.tokens, dtype=F32), take("rstd2", shapes.tokens, dtype=F32)
        self.h1, self.h2 = take("h1", shapes.stream), take("h2", shapes.stream)
        self.qkv = take("qkv", *shapes.qkv)
        self.z = take("z", *shapes.z)
        self.pre, self.post = take("pre", *shapes.pre), take("post", shapes.hidden)


class _Buffers:
    """The buffers for a shape of batch. The layers share what no backward pass reads; without one, everything."""

    def __init__(self, pool: BufferPool, config: ModelConfig, rows: int, length: int, dtype: torch.dtype, *,
                 backward: bool = True) -> None:
        shapes = _Shapes(config, rows, length)

        def take(name: str, shape: tuple[int, ...], parts: tuple[int, ...] = (), dtype: torch.dtype = dtype) -> Buffer:
            return pool.take(name, shape, parts, dtype=dtype)

        self.length = length
        self.layers = [_LayerBuffers(pool, layer if backward else 0, shapes, dtype) for layer in range(config.n_layers)]
        self.x, self.rstd = take("x", shapes.stream, dtype=F32), take("rstd", shapes.tokens, dtype=F32)
        self.h, self.logits = take("h", shapes.stream), take("logits", shapes.logits)
        self.row = take("row", (config.vocab_size,), dtype=F32)
        self.heads = take("heads", shapes.heads, dtype=F32)
        self.transposed = take("transposed", shapes.transposed, dtype=F32)
        self.blocks = take("blocks", shapes.blocks, dtype=F32)
        self.rstd_heads = take("rstd_heads", shapes.normed, dtype=F32)
        self.branch = take("branch", shapes.stream)
        widest = max(shapes.stream[1], shapes.hidden[1], shapes.z[0][1]) if backward else 0
        self.scratch = Scratch(pool, dtype, widest)
        if not backward:
            return
        self.dx, self.dh = take("dx", shapes.stream, dtype=F32), take("dh", shapes.stream)
        self.dpre, self.dpost = take("dpre", *shapes.pre), take("dpost", shapes.hidden)
        self.dz, self.dqkv = take("dz", *shapes.z), take("dqkv", *shapes.qkv)


def activation_bytes(config: ModelConfig, rows: int, length: int, dtype: torch.dtype, *, backward: bool) -> int:
    """Bytes of activations that one thread needs for so many rows at once."""
    pool = SizeOnlyPool()
    _Buffers(pool, config, rows, length, dtype, backward=backward)
    return pool.n_bytes


class _Pass(NamedTuple):
    """A pass over some rows of a batch: where it computes, the angles of its positions, and its dropout."""

    buffers: _Buffers
    cos: Buffer
    sin: Buffer
    dropout: Dropout | None
    first_row: int

    def drop(self, x: Buffer, layer: int, site: int) -> None:
        """Applies dropout, if any, to the tokens of x in place."""
        if self.dropout:
            self.dropout.apply(x, layer, site, self.first_row * self.buffers.length)

    def pattern_dropout(self, layer: int, n_heads: int) -> tuple[float, int, int]:
        """The arguments rate, key and first of attention (attention.py); rate 0 without dropout."""
        first = self.first_row * n_heads
        return (self.dropout.rate, int(self.dropout.keys[layer, PATTERN]), first) if self.dropout else (0.0, 0, first)


class Network:
    """The transformer of one thread.

    Args:
        model: gives the config and the angles of rotary positions.
        weights: matrices in the precision of the run, everything else in 32 bits.
        dtype: the precision of the run.
        gradients: float32, to which `backpropagate` adds. None: only `loss` can be called.
    """

    def __init__(self, model: TinyLM, weights: Tensors[Matrix], dtype: torch.dtype,
                 gradients: Tensors[Buffer] | None = None) -> None:
        self.config, self.weights, self.gradients, self.dtype = model.config, weights, gradients, dtype
        self._positions = model.positions
        self._pool, self._by_shape = BufferPool(), dict[tuple[int, int], tuple[_Buffers, Buffer, Buffer]]()
        self._activation, self._activation_backward = ACTIVATIONS[model.config.mlp]
        self._eps = np.float32(model.config.norm_eps)
        self._scale = np.float32(model.config.d_head ** -0.5)

    def backpropagate(self, ids: NDArray[np.int64], targets: NDArray[np.int64], factor: float, dropout: Dropout | None,
                      first_row: int = 0) -> float:
        """Adds the gradients of `factor` times the summed loss of some rows.

        Args:
            ids, targets: (B, T).
            first_row: the index of the first row in the whole batch, for dropout.

        Returns:
            the summed loss in nats, not times `factor`.
        """
        run = _Pass(*self._shape(*ids.shape), dropout, first_row)
        nats = self._forward(run, ids, targets, factor)
        self._backward(run, ids)
        return nats

    def loss(self, ids: NDArray[np.int64], targets: NDArray[np.int64], first_row: int = 0) -> float:
        """The summed loss in nats of some rows, ids and targets (B, T), without dropout."""
        return self._forward(_Pass(*self._shape(*ids.shape), dropout=None, first_row=first_row), ids, targets, 0.0)

    def _shape(self, rows: int, length: int) -> tuple[_Buffers, Buffer, Buffer]:
        """The buffers for rows of a length, and cos and sin of its positions."""
        if (rows, length) not in self._by_shape:
            angles = self._positions.angles(torch.arange(length))
            half = self.config.d_head // 2
            cos, sin = angles or (torch.ones(length, half), torch.zeros(length, half))
            before = self._pool.n_bytes
            made = _Buffers(self._pool, self.config, rows, length, self.dtype, backward=self.gradients is not None)
            if self._pool.n_bytes > before:
                self._by_shape.clear()  # views of the smaller buffers would keep these alive
            self._by_shape[rows, length] = made, as_buffer(cos), as_buffer(sin)
        return self._by_shape[rows, length]

    # ---- forward

    def _forward(self, run: _Pass, ids: NDArray[np.int64], targets: NDArray[np.int64], factor: float) -> float:
        """Computes the summed loss. The logits become its gradient, times `factor`."""
        weights, buffers, layers = self.weights, run.buffers, run.buffers.layers
        x = layers[0].x if layers else buffers.x
        kernels.embed(ids.reshape(-1), weights.embed.a, x.a)
        if not layers:
            kernels.norm(x.a, weights.ln_f.a, self._eps, buffers.h.a, buffers.rstd.a)
        else:
            kernels.norm(x.a, weights.layers[0].norm1.a, self._eps, layers[0].h1.a, layers[0].rstd1.a)
        for i, (layer, w) in enumerate(zip(layers, weights.layers, strict=True)):
            self._attend(run, i)
            kernels.add_norm(layer.x.a, buffers.branch.a, w.norm2.a, self._eps, layer.mid.a, layer.h2.a, layer.rstd2.a)
            self._mlp(run, i)
            last = i + 1 == len(layers)
            after, weight = (buffers, weights.ln_f) if last else (layers[i + 1], weights.layers[i + 1].norm1)
            h, rstd = (buffers.h, buffers.rstd) if last else (layers[i + 1].h1, layers[i + 1].rstd1)
            kernels.add_norm(layer.mid.a, buffers.branch.a, weight.a, self._eps, after.x.a, h.a, rstd.a)
        weights.head.multiply(buffers.h, buffers.logits, buffers.scratch)
        nats: float = kernels.cross_entropy(buffers.logits.a, targets.reshape(-1), IGNORE, np.float32(factor),
                                            buffers.row.a)
        return nats

    def _attend(self, run: _Pass, i: int) -> None:
        """Computes the attention of layer i: h1 -> branch."""
        buffers, layer, w = run.buffers, run.buffers.layers[i], self.weights.layers[i]
        w.qkv.multiply(layer.h1, layer.qkv, buffers.scratch)
        attention.attend(layer.qkv.a, run.cos.a, run.sin.a, w.q_norm.a, w.k_norm.a, self._eps, self._scale,
                         *run.pattern_dropout(i, self.config.n_heads), layer.z.a, buffers.heads.a,
                         buffers.transposed.a, buffers.blocks.a, buffers.rstd_heads.a)
        w.o.multiply(layer.z, buffers.branch, buffers.scratch)
        run.drop(buffers.branch, i, ATTN_OUT)

    def _mlp(self, run: _Pass, i: int) -> None:
        """Computes the MLP of layer i: h2 -> branch."""
        buffers, layer, w = run.buffers, run.buffers.layers[i], self.weights.layers[i]
        w.up.multiply(layer.h2, layer.pre, buffers.scratch)
        self._activation(layer.pre.a, layer.post.a)
        run.drop(layer.post, i, MLP_POST)
        w.down.multiply(layer.post, buffers.branch, buffers.scratch)
        run.drop(buffers.branch, i, MLP_OUT)

    # ---- backward

    def _backward(self, run: _Pass, ids: NDArray[np.int64]) -> None:
        """Adds all gradients, from those of the logits down to those of the embedding."""
        weights, gradients, buffers, layers = self.weights, self.gradients, run.buffers, run.buffers.layers
        assert gradients is not None
        add_gradient(buffers.logits, buffers.h, gradients.head, buffers.scratch)
        weights.head.multiply_backward(buffers.logits, buffers.dh, buffers.scratch)
        buffers.dx.t.zero_()
        kernels.norm_backward(buffers.dh.a, buffers.x.a, buffers.rstd.a, weights.ln_f.a, buffers.dx.a, gradients.ln_f.a,
                              buffers.branch.a)
        for i in reversed(range(len(layers))):
            layer, w, g = layers[i], weights.layers[i], gradients.layers[i]
            self._mlp_backward(run, i, g)
            kernels.norm_backward(buffers.dh.a, layer.mid.a, layer.rstd2.a, w.norm2.a, buffers.dx.a, g.norm2.a,
                                  buffers.branch.a)
            self._attend_backward(run, i, g)
            kernels.norm_backward(buffers.dh.a, layer.x.a, layer.rstd1.a, w.norm1.a, buffers.dx.a, g.norm1.a,
                                  buffers.branch.a)
        if gradients.embed is not NO_BUFFER:
            kernels.embed_backward(ids.reshape(-1), buffers.dx.a, gradients.embed.a)

    def _mlp_backward(self, run: _Pass, i: int, g: LayerTensors[Buffer]) -> None:
        """Backpropagates the gradient in `branch` through the MLP of layer i to dh."""
        buffers, layer, w = run.buffers, run.buffers.layers[i], self.weights.layers[i]
        run.drop(buffers.branch, i, MLP_OUT)
        add_gradient(buffers.branch, layer.post, g.down, buffers.scratch)
        w.down.multiply_backward(buffers.branch, buffers.dpost, buffers.scratch)
        run.drop(buffers.dpost, i, MLP_POST)
        self._activation_backward(layer.pre.a, buffers.dpost.a, buffers.dpre.a)
        add_gradient(buffers.dpre, layer.h2, g.up, buffers.scratch)
        w.up.multiply_backward(buffers.dpre, buffers.dh, buffers.scratch)

    def _attend_backward(self, run: _Pass, i: int, g: LayerTensors[Buffer]) -> None:
        """Backpropagates the gradient in `branch` through the attention of layer i to dh."""
        buffers, layer, w = run.buffers, run.buffers.layers[i], self.weights.layers[i]
        run.drop(buffers.branch, i, ATTN_OUT)
        add_gradient(buffers.branch, layer.z, g.o, buffers.scratch)
        w.o.multiply_backward(buffers.branch, buffers.dz, buffers.scratch)
        attention.attend_backward(layer.qkv.a, run.cos.a, run.sin.a, w.q_norm.a, w.k_norm.a, self._eps, self._scale,
                                  *run.pattern_dropout(i, self.config.n_heads), buffers.dz.a, buffers.dqkv.a,
                                  g.q_norm.a, g.k_norm.a, buffers.heads.a, buffers.transposed.a, buffers.blocks.a,
                                  buffers.rstd_heads.a)
        add_gradient(buffers.dqkv, layer.h1, g.qkv, buffers.scratch)
        w.qkv.multiply_backward(buffers.dqkv, buffers.dh, buffers.scratch)
