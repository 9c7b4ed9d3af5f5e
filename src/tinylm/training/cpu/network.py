"""Forward and backward of the transformer for some rows of a batch, by hand: model/transformer.py, step for step, and
then the same steps in the other direction. One thread computes it, so nothing in it waits for another.

Axis letters as in kernels.py. Matrices and most activations are in the precision of the run (bfloat16 or float32); the
residual stream and the gradients of the weights are float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinylm.config.schema import ModelConfig
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import IGNORE
from tinylm.training.cpu import attention, kernels
from tinylm.training.cpu.activations import BENDS
from tinylm.training.cpu.buffers import Imagined, Room, Rooms, room

PATTERN, ATTN_OUT, MLP_POST, MLP_OUT = range(4)
"""The four places of dropout in a layer."""
F32 = torch.float32


@dataclass(frozen=True)
class LayerTensors:
    """What one layer has, of its weights or of their gradients. Matrices that read the same input are one: q, k and v
    (H+2G)*K x D, and gate and up 2F x D."""

    norm1: Room
    qkv: Room
    q_norm: Room
    k_norm: Room
    o: Room
    norm2: Room
    up: Room
    down: Room


class Tensors(NamedTuple):
    """All of a model, of its weights or of their gradients."""

    embed: Room
    layers: list[LayerTensors]
    ln_f: Room
    head: Room


class Dropout(NamedTuple):
    """What falls is a function of the keys, one for each layer and place, and of the place in the whole batch."""

    rate: float
    keys: NDArray[np.int64]  # (layers, 4)

    def apply(self, x: Room, layer: int, place: int, first: int) -> None:
        """To x in place, whose first row is row `first` of the whole."""
        flat = x.a.reshape(-1)
        kernels.drop(flat, self.rate, self.keys[layer, place], first * (flat.shape[0] // x.a.shape[0]))


def _falling(dropout: Dropout | None, layer: int, first: int) -> tuple[float, int, int]:
    """Rate and key of the dropout of patterns, of which `first` is the first here."""
    return (dropout.rate, int(dropout.keys[layer, PATTERN]), first) if dropout else (0.0, 0, first)


MADE_ANEW = 1 << 20
"""Numbers of a product, at most, whose result torch cannot be told where to put."""
_ONEDNN_LINEAR = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


def _multiply(x: Tensor, matrix: Tensor, out: Tensor) -> None:
    """out (N, outputs) = x (N, inputs) @ the transpose of matrix (outputs, inputs). In 32 bits by oneDNN: it multiplies
    2.3 times as fast on an AMD processor as MKL, which torch.mm would take, and as fast elsewhere. It makes its result
    anew: some rows at a time, lest a wide one is held twice."""
    if out.dtype == F32 and _ONEDNN_LINEAR is not None:
        rows = max(1, MADE_ANEW // out.shape[1])
        for some, result in zip(x.split(rows), out.split(rows), strict=True):
            result.copy_(_ONEDNN_LINEAR(some, matrix, None, "none", [], ""))
    else:
        torch.mm(x, matrix.t(), out=out)


class _Sizes:
    """Shapes of rooms, as matrices and as what they consist of."""

    def __init__(self, config: ModelConfig, rows: int, length: int) -> None:
        n, heads, shared, half = rows * length, config.n_heads, config.n_kv_heads, config.d_head // 2
        pres = 2 if config.mlp == "swiglu" else 1
        self.tokens = (n,)
        self.stream, self.hidden, self.logits = (n, config.d_model), (n, config.d_mlp), (n, config.vocab_size)
        self.pre = (n, pres * config.d_mlp), (n, *((2,) if pres == 2 else ()), config.d_mlp)
        self.qkv = (n, 2 * half * (heads + 2 * shared)), (rows, length, heads + 2 * shared, 2, half)
        self.joined = (n, 2 * half * heads), (rows, length, heads, 2, half)
        whole, wide = attention.whole_vectors(length), attention.whole_vectors(2 * half)
        self.heads, self.across = (7, whole, 2, wide // 2), (2, 2, wide // 2, whole)
        self.blocks, self.normed = (3, min(attention.BLOCK, whole), whole), (2, length)


class _LayerRooms:
    """What the forward pass of a layer leaves for the backward pass."""

    def __init__(self, rooms: Rooms, layer: int, sizes: _Sizes, dtype: torch.dtype) -> None:
        def take(name: str, shape: tuple[int, ...], parts: tuple[int, ...] = (), dtype: torch.dtype = dtype) -> Room:
            return rooms.take((layer, name), shape, parts, dtype=dtype)

        self.x, self.mid = take("x", sizes.stream, dtype=F32), take("mid", sizes.stream, dtype=F32)
        self.rstd1, self.rstd2 = take("rstd1", sizes.tokens, dtype=F32), take("rstd2", sizes.tokens, dtype=F32)
        self.h1, self.h2 = take("h1", sizes.stream), take("h2", sizes.stream)
        self.qkv = take("qkv", *sizes.qkv)
        self.joined = take("joined", *sizes.joined)
        self.pre, self.post = take("pre", *sizes.pre), take("post", sizes.hidden)


class _Rooms:
    """All rooms of a shape of batch. What no backward pass needs is shared by the layers; without one, that is all."""

    def __init__(self, rooms: Rooms, config: ModelConfig, rows: int, length: int, dtype: torch.dtype, *,
                 backward: bool = True) -> None:
        sizes = _Sizes(config, rows, length)

        def take(name: str, shape: tuple[int, ...], parts: tuple[int, ...] = (), dtype: torch.dtype = dtype) -> Room:
            return rooms.take(name, shape, parts, dtype=dtype)

        self.length = length
        self.layers = [_LayerRooms(rooms, layer if backward else 0, sizes, dtype) for layer in range(config.n_layers)]
        self.x, self.rstd = take("x", sizes.stream, dtype=F32), take("rstd", sizes.tokens, dtype=F32)
        self.h, self.logits = take("h", sizes.stream), take("logits", sizes.logits)
        self.row = take("row", (config.vocab_size,), dtype=F32)
        self.heads, self.across = take("heads", sizes.heads, dtype=F32), take("across", sizes.across, dtype=F32)
        self.blocks = take("blocks", sizes.blocks, dtype=F32)
        self.rstd_heads = take("rstd_heads", sizes.normed, dtype=F32)
        self.branch = take("branch", sizes.stream)
        if not backward:
            return
        self.dx, self.dh = take("dx", sizes.stream, dtype=F32), take("dh", sizes.stream)
        self.dpre, self.dpost = take("dpre", *sizes.pre), take("dpost", sizes.hidden)
        self.djoined, self.dqkv = take("djoined", *sizes.joined), take("dqkv", *sizes.qkv)


def activation_bytes(config: ModelConfig, rows: int, length: int, dtype: torch.dtype, *, backward: bool) -> int:
    """What one thread needs for so many rows at once."""
    imagined = Imagined()
    _Rooms(imagined, config, rows, length, dtype, backward=backward)
    return imagined.n_bytes


class Network:
    """The transformer of one thread.

    Args:
        model: gives the shape, and the positions.
        weights: matrices in the precision of the run, everything else in 32 bits.
        gradients: to which `backpropagate` adds; all in 32 bits. None: there is only the loss.
    """

    def __init__(self, model: TinyLM, weights: Tensors, gradients: Tensors | None = None) -> None:
        self.config, self.weights, self.gradients = model.config, weights, gradients
        self.dtype = weights.head.t.dtype
        self._positions = model.positions
        self._rooms, self._by_shape = Rooms(), dict[tuple[int, int], tuple[_Rooms, Room, Room]]()
        self._bend, self._bend_backward = BENDS[model.config.mlp]
        self._eps = np.float32(model.config.norm_eps)
        self._scale = np.float32(model.config.d_head ** -0.5)
        self._narrow = dict[torch.Size, Tensor]()

    def backpropagate(self, ids: NDArray[np.int64], targets: NDArray[np.int64], factor: float, dropout: Dropout | None,
                      first_row: int = 0) -> float:
        """Adds the gradients of `factor` times the summed loss of some rows, (B, T) each.

        Args:
            first_row: where these rows begin in the batch, for dropout.

        Returns:
            the summed loss in nats, not times `factor`.
        """
        rooms, cos, sin = self._shape(*ids.shape)
        self._forward(rooms, ids, cos, sin, dropout, first_row)
        nats: float = kernels.cross_entropy(rooms.logits.a, targets.reshape(-1), IGNORE, np.float32(factor),
                                            rooms.row.a)
        self._backward(rooms, ids, cos, sin, dropout, first_row)
        return nats

    def loss(self, ids: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
        """The summed loss in nats of some rows, (B, T) each, without dropout."""
        rooms, cos, sin = self._shape(*ids.shape)
        self._forward(rooms, ids, cos, sin, None, 0)
        nats: float = kernels.cross_entropy(rooms.logits.a, targets.reshape(-1), IGNORE, np.float32(0), rooms.row.a)
        return nats

    def _shape(self, rows: int, length: int) -> tuple[_Rooms, Room, Room]:
        if (rows, length) not in self._by_shape:
            angles = self._positions.angles(0, length, torch.device("cpu"))
            half = self.config.d_head // 2
            cos, sin = angles or (torch.ones(length, half), torch.zeros(length, half))
            before = self._rooms.n_bytes
            made = _Rooms(self._rooms, self.config, rows, length, self.dtype, backward=self.gradients is not None)
            if self._rooms.n_bytes > before:
                self._by_shape.clear()  # what looks at the smaller rooms of before would keep them
            self._by_shape[rows, length] = made, room(cos), room(sin)
        return self._by_shape[rows, length]

    # ---- forward

    def _forward(self, rooms: _Rooms, ids: NDArray[np.int64], cos: Room, sin: Room, dropout: Dropout | None,
                 first_row: int) -> None:
        weights, layers = self.weights, rooms.layers
        x = layers[0].x if layers else rooms.x
        kernels.embed(ids.reshape(-1), weights.embed.a, x.a)
        if not layers:
            kernels.norm(x.a, weights.ln_f.a, self._eps, rooms.h.a, rooms.rstd.a)
        else:
            kernels.norm(x.a, weights.layers[0].norm1.a, self._eps, layers[0].h1.a, layers[0].rstd1.a)
        for i, (layer, w) in enumerate(zip(layers, weights.layers, strict=True)):
            self._attend(rooms, layer, w, cos, sin, dropout, i, first_row)
            kernels.add_norm(layer.x.a, rooms.branch.a, w.norm2.a, self._eps, layer.mid.a, layer.h2.a, layer.rstd2.a)
            self._think(rooms, layer, w, dropout, i, first_row)
            last = i + 1 == len(layers)
            after, weight = (rooms, weights.ln_f) if last else (layers[i + 1], weights.layers[i + 1].norm1)
            h, rstd = (rooms.h, rooms.rstd) if last else (layers[i + 1].h1, layers[i + 1].rstd1)
            kernels.add_norm(layer.mid.a, rooms.branch.a, weight.a, self._eps, after.x.a, h.a, rstd.a)
        _multiply(rooms.h.t, weights.head.t, rooms.logits.t)

    def _attend(self, rooms: _Rooms, layer: _LayerRooms, w: LayerTensors, cos: Room, sin: Room, dropout: Dropout | None,
                i: int, first_row: int) -> None:
        _multiply(layer.h1.t, w.qkv.t, layer.qkv.t)
        attention.attend(layer.qkv.a, cos.a, sin.a, w.q_norm.a, w.k_norm.a, self._eps, self._scale,
                         *_falling(dropout, i, first_row * self.config.n_heads), layer.joined.a, rooms.heads.a,
                         rooms.across.a, rooms.blocks.a, rooms.rstd_heads.a)
        _multiply(layer.joined.t, w.o.t, rooms.branch.t)
        if dropout:
            dropout.apply(rooms.branch, i, ATTN_OUT, first_row * rooms.length)

    def _think(self, rooms: _Rooms, layer: _LayerRooms, w: LayerTensors, dropout: Dropout | None, i: int,
               first_row: int) -> None:
        first_token = first_row * rooms.length
        _multiply(layer.h2.t, w.up.t, layer.pre.t)
        self._bend(layer.pre.a, layer.post.a)
        if dropout:
            dropout.apply(layer.post, i, MLP_POST, first_token)
        _multiply(layer.post.t, w.down.t, rooms.branch.t)
        if dropout:
            dropout.apply(rooms.branch, i, MLP_OUT, first_token)

    # ---- backward

    def _backward(self, rooms: _Rooms, ids: NDArray[np.int64], cos: Room, sin: Room, dropout: Dropout | None,
                  first_row: int) -> None:
        weights, gradients, layers = self.weights, self.gradients, rooms.layers
        assert gradients is not None
        self._weight_gradient(rooms.logits.t, rooms.h.t, gradients.head)
        torch.mm(rooms.logits.t, weights.head.t, out=rooms.dh.t)
        rooms.dx.t.zero_()
        kernels.norm_backward(rooms.dh.a, rooms.x.a, rooms.rstd.a, weights.ln_f.a, rooms.dx.a, gradients.ln_f.a,
                              rooms.branch.a)
        for i in reversed(range(len(layers))):
            layer, w, g = layers[i], weights.layers[i], gradients.layers[i]
            self._think_backward(rooms, layer, w, g, dropout, i, first_row)
            kernels.norm_backward(rooms.dh.a, layer.mid.a, layer.rstd2.a, w.norm2.a, rooms.dx.a, g.norm2.a,
                                  rooms.branch.a)
            self._attend_backward(rooms, layer, w, g, cos, sin, dropout, i, first_row)
            kernels.norm_backward(rooms.dh.a, layer.x.a, layer.rstd1.a, w.norm1.a, rooms.dx.a, g.norm1.a,
                                  rooms.branch.a)
        kernels.embed_backward(ids.reshape(-1), rooms.dx.a, gradients.embed.a)

    def _think_backward(self, rooms: _Rooms, layer: _LayerRooms, w: LayerTensors, g: LayerTensors,
                        dropout: Dropout | None, i: int, first_row: int) -> None:
        first_token = first_row * rooms.length
        if dropout:
            dropout.apply(rooms.branch, i, MLP_OUT, first_token)
        self._weight_gradient(rooms.branch.t, layer.post.t, g.down)
        torch.mm(rooms.branch.t, w.down.t, out=rooms.dpost.t)
        if dropout:
            dropout.apply(rooms.dpost, i, MLP_POST, first_token)
        self._bend_backward(layer.pre.a, rooms.dpost.a, rooms.dpre.a)
        self._weight_gradient(rooms.dpre.t, layer.h2.t, g.up)
        torch.mm(rooms.dpre.t, w.up.t, out=rooms.dh.t)

    def _attend_backward(self, rooms: _Rooms, layer: _LayerRooms, w: LayerTensors, g: LayerTensors, cos: Room,
                         sin: Room, dropout: Dropout | None, i: int, first_row: int) -> None:
        if dropout:
            dropout.apply(rooms.branch, i, ATTN_OUT, first_row * rooms.length)
        self._weight_gradient(rooms.branch.t, layer.joined.t, g.o)
        torch.mm(rooms.branch.t, w.o.t, out=rooms.djoined.t)
        attention.attend_backward(layer.qkv.a, cos.a, sin.a, w.q_norm.a, w.k_norm.a, self._eps, self._scale,
                                  *_falling(dropout, i, first_row * self.config.n_heads), rooms.djoined.a,
                                  rooms.dqkv.a, g.q_norm.a, g.k_norm.a, rooms.heads.a, rooms.across.a, rooms.blocks.a,
                                  rooms.rstd_heads.a)
        self._weight_gradient(rooms.dqkv.t, layer.h1.t, g.qkv)
        torch.mm(rooms.dqkv.t, w.qkv.t, out=rooms.dh.t)

    def _weight_gradient(self, dy: Tensor, x: Tensor, gradient: Room) -> None:
        """Adds dy^T x: (N, out), (N, in) -> (out, in)."""
        if self.dtype == F32:
            gradient.t.addmm_(dy.t(), x)
            return
        if gradient.t.shape not in self._narrow:
            self._narrow[gradient.t.shape] = torch.empty(gradient.t.shape, dtype=self.dtype)
        product = self._narrow[gradient.t.shape]
        torch.mm(dy.t(), x, out=product)
        gradient.t.add_(product)
