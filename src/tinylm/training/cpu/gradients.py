"""Gradients of a batch on all cores: each core takes some of the rows, and the sums of the cores are added in the same
order every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinylm.config.schema import ModelConfig
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.layout import fused_matrices, fused_shapes
from tinylm.model.transformer import TinyLM
from tinylm.training.cpu.buffers import NO_BUFFER, Buffer, as_buffer
from tinylm.training.cpu.matrices import LowPrecisionMatrix, Matrix, PackedMatrix
from tinylm.training.cpu.network import Dropout, LayerTensors, M, Network, Tensors, activation_bytes

MAX_TOKENS = 2048
"""Tokens of a micro-batch on one core: enough to keep matrix products efficient, and few enough for their activations
to stay in the cache."""
MAX_LOGITS = 1 << 22
"""Logits of a micro-batch: over a large vocabulary fewer tokens are enough, and more logits would take hundreds of
megabytes."""


def working_bytes(config: ModelConfig, rows: int, validation_rows: int, dtype: torch.dtype, cores: int) -> int:
    """Bytes of `CpuGradients` and `CpuLoss` together, gradients included.

    Args:
        rows, validation_rows: of a batch, and of what is validated in one call.
        dtype: of matrices and activations.
    """
    length = config.context_length
    rows, validation_rows = (min(micro_batch_rows(config, length), -(-each // cores))
                             for each in (rows, validation_rows))
    activations = activation_bytes(config, rows, length, dtype, backward=True)
    validation = activation_bytes(config, validation_rows, length, torch.float32, backward=False)
    per_layer = sum(outputs * inputs for outputs, inputs in fused_shapes(config).values())
    matrices = config.n_layers * per_layer + config.vocab_size * config.d_model
    everything = matrices + (0 if config.tied_embeddings else config.vocab_size * config.d_model)
    products = per_layer + config.vocab_size * config.d_model if dtype != torch.float32 else 0
    return (cores * (activations + validation + 4 * everything + dtype.itemsize * products)
            + matrices * (4 + 2 * dtype.itemsize))


def micro_batch_rows(config: ModelConfig, length: int) -> int:
    """Rows of `length` tokens that one core computes at once."""
    return max(1, min(MAX_TOKENS, MAX_LOGITS // config.vocab_size) // length)


class CpuGradients:
    """Computes what `loss.backward()` does, into the `.grad` of a model's parameters.

    Args:
        model: on the CPU, of a shape that this package knows (`can_be_fast` of training/backend.py).
        dtype: of matrices and activations: float32 or bfloat16.
    """

    def __init__(self, model: TinyLM, dtype: torch.dtype, pool: ThreadPool) -> None:
        self._model, self._pool = model, pool
        self._weights = _Weights(model, dtype, backward=True)
        self._sums = [_Gradients(model) for _ in range(pool.cores)]
        self._networks = [Network(model, self._weights.tensors, dtype, sums.tensors) for sums in self._sums]

    @torch.no_grad()
    def __call__(self, inputs: NDArray[np.int64], targets: NDArray[np.int64], n_targets: int,
                 dropout_seed: int) -> Tensor:
        """Adds the gradients of the summed loss over `n_targets` to those that are there, if any: (B, T) each.

        Returns:
            the summed loss in nats, ().
        """
        self._weights.refresh()
        for sums in self._sums[1:] if self._sums[0].is_assigned_to(self._model) else self._sums:
            sums.flat.zero_()
        dropout = self._dropout(dropout_seed)
        nats = _sum_over_cores(self._model.config, self._pool, inputs, targets, lambda core, ids, wanted, first: (
            self._networks[core].backpropagate(ids, wanted, 1 / n_targets, dropout, first)))
        for sums in self._sums[1:]:
            self._sums[0].flat.add_(sums.flat)
        self._sums[0].assign_to(self._model)
        return torch.tensor(nats, dtype=torch.float64)

    def _dropout(self, seed: int) -> Dropout | None:
        config = self._model.config
        if not config.dropout:
            return None
        keys = np.random.SeedSequence(seed).generate_state(4 * config.n_layers).astype(np.int64)
        return Dropout(config.dropout, keys.reshape(config.n_layers, 4))


class CpuLoss:
    """Computes the loss of a model for validation, in 32 bits and without dropout. See `CpuGradients`."""

    def __init__(self, model: TinyLM, pool: ThreadPool) -> None:
        self._config, self._pool = model.config, pool
        self._weights = _Weights(model, torch.float32, backward=False)
        self._networks = [Network(model, self._weights.tensors, torch.float32) for _ in range(pool.cores)]

    @torch.no_grad()
    def __call__(self, inputs: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
        """The summed loss in nats of (B, T) inputs and targets."""
        self._weights.refresh()
        return _sum_over_cores(self._config, self._pool, inputs, targets, lambda core, ids, wanted, _: (
            self._networks[core].loss(ids, wanted)))


def _sum_over_cores(config: ModelConfig, pool: ThreadPool, ids: NDArray[np.int64], targets: NDArray[np.int64],
            work: Callable[[int, NDArray[np.int64], NDArray[np.int64], int], float]) -> float:
    """Sums `work(core, ids, targets, first row)` over all rows, each core a few rows at a time."""
    at_once, shares = micro_batch_rows(config, ids.shape[1]), pool.slices(len(ids))

    def share(core: int) -> float:
        nats = 0.0
        for first in range(shares[core].start, shares[core].stop, at_once):
            part = slice(first, min(first + at_once, shares[core].stop))
            nats += work(core, ids[part], targets[part], first)
        return nats

    return sum(pool.map(share))


# ---- a model's parameters as the network wants them


def _norms(config: ModelConfig) -> dict[str, str]:
    heads = {"q_norm": "attn.q_norm", "k_norm": "attn.k_norm"} if config.qk_norm else {}
    return {"norm1": "norm1", "norm2": "norm2", **heads}


def _build_tensors(config: ModelConfig, matrix: Callable[[Sequence[str]], M],
                   vector: Callable[..., Buffer]) -> Tensors[M]:
    """Builds `Tensors`, each by `matrix` or `vector` from the names of its parameters. The kernels see the weights of
    QK-norm as the two halves that rotary positions pair."""
    layers = []
    for i in range(config.n_layers):
        matrices = {name: matrix([f"layers.{i}.{part}.weight" for part in parts])
                    for name, parts in fused_matrices(config).items()}
        vectors = {"q_norm": NO_BUFFER, "k_norm": NO_BUFFER}
        for name, part in _norms(config).items():
            halves = (2, config.d_head // 2) if name in ("q_norm", "k_norm") else ()
            vectors[name] = vector(f"layers.{i}.{part}.weight", *halves)
        layers.append(LayerTensors(vectors["norm1"], matrices["qkv"], vectors["q_norm"], vectors["k_norm"],
                                   matrices["o"], vectors["norm2"], matrices["up"], matrices["down"]))
    head = "embed.weight" if config.tied_embeddings else "out_head.weight"
    return Tensors(vector("embed.weight"), layers, vector("ln_f.weight"), matrix([head]))


class _Weights:
    """A model's weights for the network: matrices as copies in the precision of the run, those that read the same input
    as one; other parameters as they are.

    Args:
        backward: gradients are wanted, too.
    """

    def __init__(self, model: TinyLM, dtype: torch.dtype, *, backward: bool) -> None:
        parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
        self._matrices: list[Matrix] = []

        def matrix(names: Sequence[str]) -> Matrix:
            originals = [parameters[name] for name in names]
            self._matrices.append(PackedMatrix(originals, backward=backward) if dtype == torch.float32
                                  else LowPrecisionMatrix(originals, dtype))
            return self._matrices[-1]

        self.tensors = _build_tensors(model.config, matrix, lambda name, *halves: as_buffer(parameters[name], *halves))

    def refresh(self) -> None:
        """Copies the parameters anew."""
        for matrix in self._matrices:
            matrix.refresh()


class _Gradients:
    """The gradients that one core sums up, all in one piece of memory. A frozen matrix has none (`NO_BUFFER`), unless
    it is one with a matrix that is trained; a frozen norm has one that goes nowhere, for the kernels write it."""

    def __init__(self, model: TinyLM) -> None:
        shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        self.flat = torch.zeros(sum(shape.numel() for shape in shapes.values()))
        self._trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._by_name: dict[str, Tensor] = {}
        used = 0

        def matrix(names: Sequence[str], *halves: int) -> Buffer:
            nonlocal used
            if self._trained.isdisjoint(names) and len(shapes[names[0]]) > 1:
                return NO_BUFFER
            if names[0] in self._by_name:  # the head that is the embedding: both add to one gradient
                return as_buffer(self._by_name[names[0]])
            first = used
            for name in names:
                self._by_name[name] = self.flat[used:used + shapes[name].numel()].view(shapes[name])
                used += shapes[name].numel()
            return as_buffer(self.flat[first:used].view(-1, *shapes[names[0]][1:]), *halves)

        self.tensors = _build_tensors(model.config, matrix, lambda name, *halves: matrix([name], *halves))
        assert self._by_name.keys() >= self._trained, "every trained parameter has a gradient"
        self.flat = self.flat[:used]

    def is_assigned_to(self, model: TinyLM) -> bool:
        """True if these are the gradients of the model, and others are to be added to them."""
        name, parameter = next((name, each) for name, each in model.named_parameters() if name in self._trained)
        held = parameter.grad
        assert held is None or held.data_ptr() == self._by_name[name].data_ptr(), (
            "gradients of another path cannot be added to")
        return held is not None

    def assign_to(self, model: TinyLM) -> None:
        """Makes these gradients the `.grad` of the model's parameters."""
        for name, parameter in model.named_parameters():
            if name in self._trained:
                parameter.grad = self._by_name[name]
