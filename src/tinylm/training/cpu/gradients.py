"""Gradients of a step on all cores: each core takes some of the shards, and sums up the gradients of a shard's rows in
a buffer. Then each core adds up a slice of all buffers, in the same order every time (training/shards.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinylm.config.schema import ModelConfig
from tinylm.jit.thread_pool import ThreadPool, cut
from tinylm.model.layout import fused_matrices, fused_shapes
from tinylm.model.transformer import TinyLM
from tinylm.system.memory import total_memory_bytes
from tinylm.text.rows import Batch
from tinylm.training.cpu.buffers import NO_BUFFER, Buffer, as_buffer
from tinylm.training.cpu.matrices import LowPrecisionMatrix, Matrix, PackedMatrix
from tinylm.training.cpu.network import Dropout, LayerTensors, M, Network, Tensors, activation_bytes
from tinylm.training.shards import Shards, add_batches
from tinylm.training.world import ALONE, World

Result = TypeVar("Result")

MAX_TOKENS = 2048
"""Tokens of a micro-batch on one core: enough to keep matrix products efficient, and few enough for their activations
to stay in the cache."""
MAX_LOGITS = 1 << 22
"""Logits of a micro-batch: over a large vocabulary fewer tokens are enough, and more logits would take hundreds of
megabytes."""
MAX_MEMORY_SHARE = 0.25
"""Of the machine's memory, the most that gradients of single cores may take: a large model has fewer workers there."""


def working_bytes(config: ModelConfig, rows: int, validation_rows: int, dtype: torch.dtype, cores: int,
                  shards: int | None = None) -> int:
    """Bytes of `CpuGradients` and `CpuLoss` together, gradients included.

    Args:
        rows, validation_rows: of a batch, and of what is validated in one call.
        dtype: of matrices and activations.
        shards: of a step, all of them computed here; None: one a core.
    """
    length = config.context_length
    per_layer = sum(outputs * inputs for outputs, inputs in fused_shapes(config).values())
    matrices = config.n_layers * per_layer + config.vocab_size * config.d_model
    everything = matrices + (0 if config.tied_embeddings else config.vocab_size * config.d_model)
    products = per_layer + config.vocab_size * config.d_model if dtype != torch.float32 else 0
    sums, validation_workers = min(rows, shards or count_workers(rows, cores, everything)), min(validation_rows, cores)
    workers, validation_workers = min(sums, cores), max(1, validation_workers)
    rows, validation_rows = (min(micro_batch_rows(config, length), -(-each // some))
                             for each, some in ((rows, sums), (validation_rows, validation_workers)))
    activations = activation_bytes(config, rows, length, dtype, backward=True)
    validation = activation_bytes(config, validation_rows, length, torch.float32, backward=False)
    return (workers * (activations + dtype.itemsize * products) + 4 * sums * everything
            + validation_workers * validation + matrices * (4 + (1 if dtype != torch.float32 else 2) * dtype.itemsize))


def count_workers(rows: int, cores: int, parameters: int, memory: int | None = None) -> int:
    """The number of cores that compute gradients at the same time, each in a buffer of its own: no more than there are
    rows, and no more than `MAX_MEMORY_SHARE` of the memory holds buffers.

    Args:
        rows: of the batch.
        cores: there are.
        parameters: numbers of a buffer, of four bytes each.
        memory: of the machine, in bytes; None: asks. Free memory does not count, for the same run must come out in the
            same numbers, which depend on the number of workers.

    >>> count_workers(rows=16, cores=64, parameters=10_000_000, memory=64 * 10**9)
    16
    >>> count_workers(rows=256, cores=64, parameters=125_000_000, memory=64 * 10**9)
    32
    """
    memory = total_memory_bytes() if memory is None else memory
    return max(1, min(rows, cores, int(MAX_MEMORY_SHARE * memory) // (4 * parameters)))


def micro_batch_rows(config: ModelConfig, length: int) -> int:
    """Rows of `length` tokens that one core computes at once."""
    return max(1, min(MAX_TOKENS, MAX_LOGITS // config.vocab_size) // length)


class CpuGradients:
    """Computes what `loss.backward()` does, into the `.grad` of a model's parameters.

    Args:
        model: on the CPU, of a shape that this package knows (`can_be_fast` of training/backend.py).
        dtype: of matrices and activations: float32 or bfloat16.
        shards: of a step; None: one for each core that computes.
        world: the ranks that compute the shards.
    """

    def __init__(self, model: TinyLM, dtype: torch.dtype, pool: ThreadPool, shards: int | None = None,
                 world: World = ALONE) -> None:
        self._model, self._dtype, self._pool, self._world = model, dtype, pool, world
        self._weights = _Weights(model, dtype, backward=True)
        self._most = shards or count_workers(pool.cores, pool.cores, sum(p.numel() for p in model.parameters()))
        self._sums: list[_Gradients] = []
        self._networks: list[Network] = []

    @torch.no_grad()
    def __call__(self, batches: Sequence[Batch], n_targets: float, dropout_seed: int) -> Tensor:
        """Computes the gradients of the summed loss over `n_targets`. Batch i has the dropout of `dropout_seed` + i.

        Returns:
            the summed loss in nats, ().
        """
        self._weights.refresh()
        shards = Shards(max(1, min(self._most, len(batches[0][0]))), self._world)
        own, dropouts = list(shards.own), [self._dropout(dropout_seed + i) for i in range(len(batches))]
        shares = self._pool.slices(len(own), max(1, min(len(own), self._pool.cores)))
        self._allocate(len(own), len(shares))

        def one(core: int, i: int) -> list[float]:
            network, sums = self._networks[core], self._sums[i]
            network.gradients = sums.tensors
            sums.flat.zero_()
            return [_sum_over_rows(network.config, batch, shards.rows(len(batch[0]))[own[i]], partial(
                network.backpropagate, factor=1 / n_targets, dropout=dropout))
                for batch, dropout in zip(batches, dropouts, strict=True)]

        nats = _map_shares(self._pool, shares, one)
        total = shards.sum_up([sums.flat for sums in self._sums[:len(own)]],
                              lambda n: self._buffer(len(own) + n).flat, self._pool)
        next(sums for sums in self._sums if sums.flat is total).assign_to(self._model)
        return add_batches(shards.gather(nats, len(batches)))

    def _allocate(self, shards: int, cores: int) -> None:
        """Makes the buffers that so many shards need, and the networks of the cores that compute them."""
        for i in range(max(1, shards)):
            self._buffer(i)
        while len(self._networks) < cores:
            self._networks.append(Network(self._model, self._weights.tensors, self._dtype, self._sums[0].tensors))

    def _buffer(self, index: int) -> _Gradients:
        while len(self._sums) <= index:
            self._sums.append(_Gradients(self._model))
        return self._sums[index]

    def _dropout(self, seed: int) -> Dropout | None:
        config = self._model.config
        if not config.dropout:
            return None
        keys = np.random.SeedSequence(seed).generate_state(4 * config.n_layers).astype(np.int64)
        return Dropout(config.dropout, keys.reshape(config.n_layers, 4))


class CpuLoss:
    """Computes the loss of a model for validation, in 32 bits and without dropout. See `CpuGradients`."""

    def __init__(self, model: TinyLM, pool: ThreadPool, shards: int | None = None) -> None:
        self._config, self._pool, self._most = model.config, pool, shards or pool.cores
        self._weights = _Weights(model, torch.float32, backward=False)
        self._networks = [Network(model, self._weights.tensors, torch.float32) for _ in range(pool.cores)]

    @torch.no_grad()
    def __call__(self, inputs: NDArray[np.int64], targets: NDArray[np.int64]) -> float:
        """The summed loss in nats of (B, T) inputs and targets."""
        self._weights.refresh()
        parts = cut(len(inputs), max(1, min(self._most, len(inputs))))
        shares = self._pool.slices(len(parts), min(len(parts), self._pool.cores))

        def one(core: int, i: int) -> float:
            return _sum_over_rows(self._config, (inputs, targets), parts[i], self._networks[core].loss)

        return sum(_map_shares(self._pool, shares, one))


def _map_shares(pool: ThreadPool, shares: Sequence[slice], one: Callable[[int, int], Result]) -> list[Result]:
    """The results of `one(core, i)` in the order of i, each core computing its share of them."""
    found = pool.map(lambda core: [one(core, i) for i in range(shares[core].start, shares[core].stop)], len(shares))
    return [each for some in found for each in some]


def _sum_over_rows(config: ModelConfig, batch: Batch, rows: slice, work: Callable[..., float]) -> float:
    """Sums `work(ids, targets, first_row=...)` over some rows of a batch, a few of them at a time."""
    (ids, targets), nats = batch, 0.0
    at_once = micro_batch_rows(config, ids.shape[1])
    for first in range(rows.start, rows.stop, at_once):
        part = slice(first, min(first + at_once, rows.stop))
        nats += work(ids[part], targets[part], first_row=first)
    return nats


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

    def assign_to(self, model: TinyLM) -> None:
        """Makes these gradients the `.grad` of the model's parameters."""
        for name, parameter in model.named_parameters():
            if name in self._trained:
                parameter.grad = self._by_name[name]
