"""How the gradients of a batch come about: by the quickest path that serves.

The reference is autograd on model/transformer.py. On a CPU, for the shapes that it knows, the fast path (fast/)
computes the same by hand. Where somebody listens, to an activation or to a gradient, there is only the reference to
listen to.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tinylm.config.schema import ModelConfig
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.device import device_name
from tinylm.model.dropout import seeded_dropout
from tinylm.model.threads import threads_for, torch_threads
from tinylm.model.transformer import TinyLM
from tinylm.training.evaluate import LossOf
from tinylm.training.loss import total_loss
from tinylm.training.precision import choose_precision


def has_fast_path(config: ModelConfig) -> bool:
    """Whether the fast path knows a shape: the family of the default preset, of Llama and of Qwen3."""
    return (config.norm == "rmsnorm" and config.norm_position == "pre" and config.positions != "learned"
            and not (config.bias or config.head_bias) and config.causal and config.d_head % 2 == 0)


@dataclass(frozen=True)
class Compute:
    """How a run computes.

    Attributes:
        dtype: of matrix products: float32 or bfloat16.
        workers: the cores that it computes on.
        fast: by the fast path.
    """

    device: torch.device
    dtype: torch.dtype
    workers: ThreadPool
    fast: bool

    def running(self) -> AbstractContextManager[None]:
        """Within the block torch computes on as many threads as suit: on the fast path the workers share the cores, and
        torch has one for each of them."""
        return torch_threads(1 if self.fast else self.workers.cores)

    def __str__(self) -> str:
        """For people, e.g. `CPU, 2 threads, products of 16-bit floats (bfloat16)`."""
        bits = "products of 16-bit floats (bfloat16)" if self.dtype == torch.bfloat16 else "32-bit floats"
        threads = f", {self.workers.cores} thread{'s' * (self.workers.cores != 1)}" if self.device.type == "cpu" else ""
        return f"{device_name(self.device)}{threads}, {bits}"


def choose_compute(config: ModelConfig, device: torch.device, *, flops: float, precision: str = "auto") -> Compute:
    """
    Args:
        flops: of one training step; small ones are quicker on one core.
        precision: "auto", "float32" or "bfloat16". Under "auto" the reference path stays in 32 bits on a CPU.
    """
    fast = device.type == "cpu" and has_fast_path(config)
    if precision == "auto" and device.type == "cpu" and not fast:
        precision = "float32"
    return Compute(device, choose_precision(precision, device), ThreadPool(threads_for(flops)), fast)


def must_compile(config: ModelConfig, device: torch.device) -> bool:
    """Whether the first step of this shape compiles the fast path first, as it does once on a machine."""
    if device.type != "cpu" or not has_fast_path(config):
        return False
    from tinylm.training.cpu import attention

    return not attention.are_compiled()


REFERENCE = Compute(torch.device("cpu"), torch.float32, ThreadPool(), fast=False)


class TrainingBackend:
    """Computes gradients of a model's parameters, into their `.grad`."""

    def __init__(self, model: nn.Module, compute: Compute = REFERENCE) -> None:
        self._model, self._compute = model, compute
        self._fast = None
        if compute.fast and isinstance(model, TinyLM):
            from tinylm.training.cpu.gradients import CpuGradients

            self._fast = CpuGradients(model, compute.dtype, compute.workers)

    def __call__(self, inputs: Tensor, targets: Tensor, n_targets: int, dropout_seed: int) -> Tensor:
        """Adds the gradients of the summed loss over `n_targets` to those that are there: (B, T) each.

        Args:
            dropout_seed: dropout is a pure function of it.

        Returns:
            the summed loss in nats, ().
        """
        if self._fast and not _somebody_listens(self._model):
            return self._fast(inputs, targets, n_targets, dropout_seed)
        with seeded_dropout(dropout_seed, self._model), self._autocast(inputs.device.type):
            loss = total_loss(self._model(inputs), targets)
        (loss / n_targets).backward()
        return loss.detach()

    def _autocast(self, device: str) -> torch.autocast:
        return torch.autocast(device, self._compute.dtype, enabled=self._compute.dtype != torch.float32)


def loss_of(model: TinyLM, compute: Compute) -> LossOf | None:
    """The fast path to the loss of rows that are judged, in 32 bits; None: `evaluate` takes the reference."""
    if not compute.fast:
        return None
    from tinylm.training.cpu.gradients import CpuLoss

    return CpuLoss(model, compute.workers)


def _somebody_listens(model: nn.Module) -> bool:
    heard = isinstance(model, TinyLM) and model.taps.hook is not None
    return heard or any(parameter._backward_hooks for parameter in model.parameters())
