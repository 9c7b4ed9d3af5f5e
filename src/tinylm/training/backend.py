"""The backend of training: losses and gradients of NumPy batches, by the quickest path that serves.

The reference is autograd on model/transformer.py. On a CPU, for the shapes that it knows, the fast path (cpu/) computes
the same by hand. A hook, on an activation or on a gradient, is called by the reference alone, so a model with hooks
takes the reference.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tinylm.config.schema import ModelConfig
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.device import device_name
from tinylm.model.dropout import seeded_dropout
from tinylm.model.threads import set_flush_denormals, threads_for, torch_threads
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import Batch
from tinylm.training.loss import total_loss
from tinylm.training.precision import choose_precision
from tinylm.training.shards import Shards, add_batches
from tinylm.training.world import ALONE, World

if TYPE_CHECKING:
    from tinylm.training.cpu.gradients import CpuLoss

Ids = NDArray[np.int64]
"""Inputs or targets of a batch, (B, T)."""


def has_fast_path(config: ModelConfig) -> bool:
    """True if the fast path knows the shape: the family of the default preset, of Llama and of Qwen3."""
    return (config.norm == "rmsnorm" and config.norm_position == "pre" and config.positions != "learned"
            and not (config.bias or config.head_bias) and config.causal and config.d_head % 2 == 0)


@dataclass(frozen=True)
class Compute:
    """The device, precision and path of a run's computation.

    Attributes:
        device: of the model.
        dtype: of matrix products: float32, bfloat16, or float16, which older GPUs multiply.
        workers: the cores to compute on.
        fast: true for the fast path on a CPU.
        shards: of a step, whose gradients are summed in their order, so that neither threads nor processes change a
            digit; None: as many as suit this machine.
        world: the processes that compute a step together.
    """

    device: torch.device
    dtype: torch.dtype
    workers: ThreadPool
    fast: bool
    shards: int | None = None
    world: World = ALONE

    def running(self) -> AbstractContextManager[None]:
        """Gives torch as many threads within the block as suit: on the fast path the workers share the cores, and torch
        has one thread for each of them; so it has on the reference path, where a step is cut into shards."""
        return torch_threads(1 if self.fast or self.shards else self.workers.cores)

    def __str__(self) -> str:
        """A description for people, such as `CPU, 2 threads, products of 16-bit floats (bfloat16)`."""
        short = str(self.dtype).removeprefix("torch.")
        bits = "32-bit floats" if self.dtype == torch.float32 else f"products of 16-bit floats ({short})"
        threads = f", {self.workers.cores} thread{'s' * (self.workers.cores != 1)}" if self.device.type == "cpu" else ""
        return f"{device_name(self.device)}{threads}, {bits}"


def choose_compute(config: ModelConfig, device: torch.device, *, flops: float, precision: str = "auto",
                   shards: int | None = None) -> Compute:
    """Chooses path, cores and precision for a model.

    Args:
        flops: of one training step; a small step is quicker on one core.
        precision: "auto", "float32" or "bfloat16". Under "auto" the reference path stays in 32 bits on a CPU.
        shards: of a step.
    """
    fast = device.type == "cpu" and has_fast_path(config) and _is_right(choose_precision(precision, device), config.mlp)
    if precision == "auto" and device.type == "cpu" and not fast:
        precision = "float32"
    pool = ThreadPool(threads_for(flops), set_flush_denormals)
    return Compute(device, choose_precision(precision, device), pool, fast, shards)


def _is_right(dtype: torch.dtype, mlp: str) -> bool:
    """The verdict of the fast path's self-test, which the first program on a machine makes."""
    from tinylm.training.cpu.self_test import training_test

    return training_test(dtype, mlp).verdict.is_right


def must_compile(config: ModelConfig, device: torch.device) -> bool:
    """True if the first step of this shape compiles the fast path first, as happens once on a machine."""
    if device.type != "cpu" or not has_fast_path(config):
        return False
    from tinylm.training.cpu import attention

    return not attention.are_compiled()


REFERENCE = Compute(torch.device("cpu"), torch.float32, ThreadPool(), fast=False)


class TrainingBackend:
    """Computes losses and gradients of a model, from batches of NumPy arrays.

    A parameter whose `requires_grad` is false gets no gradient. The fast path reads that once, here.

    Args:
        model: (B, T) ids -> (B, T, V) logits, on the device where batches are to be computed.
        compute: by which path, and in which precision.

    >>> from tinylm import ModelConfig
    >>> model = TinyLM(ModelConfig(vocab_size=4, d_model=8, n_layers=1, n_heads=1))
    >>> ids = np.array([[1, 2, 3]])
    >>> backend = TrainingBackend(model)
    >>> [round(loss.item(), 3) for loss in (backend.backward([(ids, ids)], n_targets=3, dropout_seed=0),
    ...                                     backend.loss(ids, ids))]
    [4.159, 4.159]
    >>> model.out_head.weight.grad.shape
    torch.Size([4, 8])
    """

    def __init__(self, model: nn.Module, compute: Compute = REFERENCE) -> None:
        self._model, self._compute = model, compute
        self._fast = None
        if compute.fast and isinstance(model, TinyLM):
            from tinylm.training.cpu.gradients import CpuGradients

            self._fast = CpuGradients(model, compute.dtype, compute.workers, compute.shards, compute.world)

    @property
    def world(self) -> World:
        """The processes that compute together."""
        return self._compute.world

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of matrix products."""
        return self._compute.dtype

    def backward(self, batches: Sequence[Batch], n_targets: float, dropout_seed: int) -> Tensor:
        """Computes the gradients of the summed loss over `n_targets`, as the `.grad` of the parameters.

        Args:
            batches: inputs and targets, (B, T) each.
            n_targets: what the summed loss is divided by before it is differentiated.
            dropout_seed: dropout is a pure function of it; batch i has that of `dropout_seed` + i.

        Returns:
            the summed loss in nats, ().
        """
        if self._fast and not _has_hooks(self._model):
            return self._fast(batches, n_targets, dropout_seed)
        if self._compute.shards:
            return self._backward_in_shards(batches, n_targets, dropout_seed)
        nats = [self._autograd(batch, n_targets, dropout_seed + i) for i, batch in enumerate(batches)]
        return torch.stack(nats).sum()

    def _autograd(self, batch: Batch, n_targets: float, dropout_seed: int) -> Tensor:
        """Adds the gradients of some rows to those that are there. Returns their summed loss in nats, ()."""
        with seeded_dropout(dropout_seed, self._model), self._autocast():
            loss = total_loss(self._model(self.to_device(batch[0])), self.to_device(batch[1]))
        (loss / n_targets).backward()
        return loss.detach()

    def _backward_in_shards(self, batches: Sequence[Batch], n_targets: float, dropout_seed: int) -> Tensor:
        trained = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        shards = Shards(max(1, min(self._compute.shards or 1, len(batches[0][0]))), self._compute.world)
        sums, nats = list[Tensor](), list[list[float]]()
        for shard in shards.own:
            nats.append([0.0] * len(batches))
            for i, (inputs, targets) in enumerate(batches):
                rows = shards.rows(len(inputs))[shard]
                if rows.start < rows.stop:
                    seed = int(np.random.SeedSequence([dropout_seed + i, shard]).generate_state(1)[0])
                    nats[-1][i] = self._autograd((inputs[rows], targets[rows]), n_targets, seed).item()
            sums.append(_take_gradients(trained))
        length, device = sum(parameter.numel() for parameter in trained), trained[0].device
        total = shards.sum_up(sums, lambda _: torch.empty(length, device=device), self._compute.workers)
        for parameter, gradient in zip(trained, total.split([parameter.numel() for parameter in trained]), strict=True):
            parameter.grad = gradient.view_as(parameter)
        return add_batches(shards.gather(nats, len(batches)))

    @torch.no_grad()
    def loss(self, inputs: Ids, targets: Ids) -> Tensor:
        """The summed loss in nats (), of (B, T) inputs and targets, in 32 bits. Dropout is the caller's to switch off.
        A GPU may still be computing it."""
        if self._fast_loss:
            return torch.tensor(self._fast_loss(inputs, targets), dtype=torch.float64)
        return total_loss(self._model(self.to_device(inputs)), self.to_device(targets))

    def write_weights(self) -> None:
        """Writes the weights of the model, where they follow from other parameters that are trained (lora.py); else
        they are there."""

    def to_device(self, ids: Ids) -> Tensor:
        """The ids as a tensor, where the model is. A CUDA device takes them when it comes to them: nothing waits."""
        device = next(self._model.parameters()).device
        return torch.from_numpy(ids).to(device, non_blocking=device.type == "cuda")

    @functools.cached_property
    def _fast_loss(self) -> CpuLoss | None:
        if not (self._compute.fast and isinstance(self._model, TinyLM)):
            return None
        from tinylm.training.cpu.gradients import CpuLoss

        return CpuLoss(self._model, self._compute.workers, self._compute.shards)

    def _autocast(self) -> torch.autocast:
        dtype = self._compute.dtype
        return torch.autocast(self._compute.device.type, dtype, enabled=dtype != torch.float32)


def _take_gradients(parameters: Sequence[nn.Parameter]) -> Tensor:
    """The gradients of parameters in one piece, which are taken from them; 0 where there is none."""
    flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters])
    for parameter in parameters:
        parameter.grad = None
    return flat


def _has_hooks(model: nn.Module) -> bool:
    tapped = isinstance(model, TinyLM) and bool(model.taps.hooks)
    return tapped or any(parameter._backward_hooks for parameter in model.parameters())
