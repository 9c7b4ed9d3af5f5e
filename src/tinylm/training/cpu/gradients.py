"""Gradients of a batch on all cores: each core takes some of the rows and sums up their gradients in a buffer of its
own. Then each core adds up a slice of all buffers, in the same order every time."""

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
from tinylm.system.memory import total_memory_bytes
from tinylm.training.cpu.buffers import NO_BUFFER, Buffer, as_buffer
from tinylm.training.cpu.matrices import LowPrecisionMatrix, Matrix, PackedMatrix
from tinylm.training.cpu.network import Dropout, LayerTensors, M, Network, Tensors, activation_bytes

MAX_TOKENS = 2048
"""Tokens of a micro-batch on one core: enough to keep matrix products efficient, and few enough for their activations
to stay in the cache."""
MAX_LOGITS = 1 << 22
"""Logits of a micro-batch: over a large vocabulary fewer tokens are enough, and more logits would take hundreds of
megabytes."""
MAX_MEMORY_SHARE = 0.25
"""Of the machine's memory, the most that gradients of single cores may take: a large model has fewer workers there."""
BLOCK_NUMBERS = 1 << 18
"""Numbers of a sum of gradients that one core adds up at once: they stay in its cache while one buffer after another is
added to them."""
MIN_NUMBERS_PER_CORE = 1 << 20
"""Additions for each core: for fewer it takes longer to wake another one."""


def working_bytes(config: ModelConfig, rows: int, validation_rows: int, dtype: torch.dtype, cores: int) -> int:
    """Bytes of `CpuGradients` and `CpuLoss` together, gradients included.

    Args:
        rows, validation_rows: of a batch, and of what is validated in one call.
        dtype: of matrices and activations.
    """
    length = config.context_length
    per_layer = sum(outputs * inputs for outputs, inputs in fused_shapes(config).values())
    matrices = config.n_layers * per_layer + config.vocab_size * config.d_model
    everything = matrices + (0 if config.tied_embeddings else config.vocab_size * config.d_model)
    products = per_layer + config.vocab_size * config.d_model if dtype != torch.float32 else 0
    workers, validation_workers = count_workers(rows, cores, everything), max(1, min(validation_rows, cores))
    rows, validation_rows = (min(micro_batch_rows(config, length), -(-each // some))
                             for each, some in ((rows, workers), (validation_rows, validation_workers)))
    activations = activation_bytes(config, rows, length, dtype, backward=True)
    validation = activation_bytes(config, validation_rows, length, torch.float32, backward=False)
    return (workers * (activations + 4 * everything + dtype.itemsize * products) + validation_workers * validation
            + matrices * (4 + (1 if dtype != torch.float32 else 2) * dtype.itemsize))


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
    """

    def __init__(self, model: TinyLM, dtype: torch.dtype, pool: ThreadPool) -> None:
        self._model, self._dtype, self._pool = model, dtype, pool
        self._weights = _Weights(model, dtype, backward=True)
        self._most = count_workers(pool.cores, pool.cores, sum(parameter.numel() for parameter in model.parameters()))
        self._sums: list[_Gradients] = []
        self._networks: list[Network] = []

    @torch.no_grad()
    def __call__(self, inputs: NDArray[np.int64], targets: NDArray[np.int64], n_targets: float,
                 dropout_seed: int) -> Tensor:
        """Adds the gradients of the summed loss over `n_targets` to those that are there, if any: (B, T) each.

        Returns:
            the summed loss in nats, ().
        """
        self._weights.refresh()
        workers, dropout = self._workers(len(inputs)), self._dropout(dropout_seed)
        added = self._sums[0].is_assigned_to(self._model)

        def begin(core: int) -> None:
            if core > 0 or not added:
                self._sums[core].flat.zero_()

        nats = _sum_over_cores(self._model.config, self._pool, inputs, targets, lambda core, ids, wanted, first: (
            self._networks[core].backpropagate(ids, wanted, 1 / n_targets, dropout, first)), workers, begin)
        add_up([sums.flat for sums in self._sums[:workers]], self._pool)
        self._sums[0].assign_to(self._model)
        return torch.tensor(nats, dtype=torch.float64)

    def _workers(self, rows: int) -> int:
        """Makes the buffers that a batch of so many rows needs. Returns the number of cores that compute it."""
        workers = max(1, min(rows, self._most))
        while len(self._sums) < workers:
            self._sums.append(_Gradients(self._model))
            self._networks.append(Network(self._model, self._weights.tensors, self._dtype,
                                          self._sums[-1].tensors))
        return workers

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
            self._networks[core].loss(ids, wanted)), max(1, min(len(inputs), self._pool.cores)))


def _sum_over_cores(config: ModelConfig, pool: ThreadPool, ids: NDArray[np.int64], targets: NDArray[np.int64],
                    work: Callable[[int, NDArray[np.int64], NDArray[np.int64], int], float], cores: int,
                    begin: Callable[[int], None] = lambda _: None) -> float:
    """Sums `work(core, ids, targets, first row)` over all rows, each of so many cores a few rows at a time, after
    `begin(core)`."""
    at_once, shares = micro_batch_rows(config, ids.shape[1]), pool.slices(len(ids), cores)

    def share(core: int) -> float:
        begin(core)
        nats = 0.0
        for first in range(shares[core].start, shares[core].stop, at_once):
            part = slice(first, min(first + at_once, shares[core].stop))
            nats += work(core, ids[part], targets[part], first)
        return nats

    return sum(pool.map(share, cores))


def add_up(sums: Sequence[Tensor], pool: ThreadPool) -> None:
    """Adds all other sums to the first: every core a slice of them, each number in the order of the sums.

    Args:
        sums: 1-D, of one length.

    >>> sums = [torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]), torch.tensor([100.0, 200.0])]
    >>> add_up(sums, ThreadPool(2))
    >>> sums[0]
    tensor([111., 222.])
    """
    total, *others = sums
    cores = min(pool.cores, 1 + len(total) * len(others) // MIN_NUMBERS_PER_CORE)
    shares = pool.slices(len(total), cores)

    def add(core: int) -> None:
        for first in range(shares[core].start, shares[core].stop, BLOCK_NUMBERS):
            block = slice(first, min(first + BLOCK_NUMBERS, shares[core].stop))
            for other in others:
                total[block].add_(other[block])

    pool.map(add, cores)


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
