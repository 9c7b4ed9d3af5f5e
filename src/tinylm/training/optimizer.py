"""Optimisers: Adam, AdamW, and Muon for the matrices inside the layers.

Which parameter goes where is one function, `parameter_groups`, and its groups cover the model exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tinylm.config import TrainConfig
from tinylm.training.backward import REFERENCE, Compute


def make_optimizers(model: nn.Module, config: TrainConfig, compute: Compute = REFERENCE) -> list[Optimizer]:
    """The optimisers of a run. Each group carries `peak`, the learning rate that the schedule scales.

    Args:
        compute: where and in which precision Muon makes its products.
    """
    groups = parameter_groups(model)
    betas = (config.beta1, config.beta2)
    if config.optimizer == "adam":
        everything = [p for group in groups.values() for p in group]
        return [_with_peaks(torch.optim.Adam(everything, config.learning_rate, betas=betas,
                                             weight_decay=config.weight_decay))]
    decayed = groups["matrices"] if config.optimizer == "adamw" else []
    adamw = torch.optim.AdamW(
        [
            {"params": [*decayed, *groups["embeddings"]], "weight_decay": config.weight_decay},
            {"params": groups["vectors"], "weight_decay": 0.0},
        ],
        config.learning_rate, betas=betas, fused=True,
    )
    if config.optimizer == "adamw":
        return [_with_peaks(adamw)]
    muon = Muon(groups["matrices"], config.muon_learning_rate, weight_decay=config.weight_decay,
                compute=compute)
    return [_with_peaks(adamw), _with_peaks(muon)]


def parameter_groups(model: nn.Module) -> dict[str, list[Tensor]]:
    """Every parameter once: `matrices` inside the layers, `embeddings` (with the head and learned positions), and
    `vectors` (norms and biases), which are never decayed."""
    groups: dict[str, list[Tensor]] = {"matrices": [], "embeddings": [], "vectors": []}
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            groups["vectors"].append(parameter)
        elif name.startswith("layers."):
            groups["matrices"].append(parameter)
        else:
            groups["embeddings"].append(parameter)
    return groups


def scale_learning_rate(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Sets every group's learning rate to `factor` times its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor


def moments(model: nn.Module, optimizers: Iterable[Optimizer]) -> dict[str, Tensor]:
    """All that the optimisers remember, as `<what>.<parameter>`, e.g. `exp_avg.ln_f.weight`: the tensors in use."""
    names = _names(model)
    return {f"{what}.{names[parameter]}": value for optimizer in optimizers
            for parameter, remembered in optimizer.state.items() for what, value in remembered.items()}


def restore_moments(model: nn.Module, optimizers: Iterable[Optimizer], saved: Mapping[str, Tensor]) -> None:
    """Puts back what `moments` gave, and forgets everything else."""
    by_parameter: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, value in saved.items():
        what, _, name = key.partition(".")
        by_parameter[name][what] = value
    names = _names(model)
    for optimizer in optimizers:
        optimizer.state.clear()
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                for what, value in by_parameter[names[parameter]].items():
                    on_cpu = what == "step" and not group.get("fused")  # torch's own rule
                    place = torch.device("cpu") if on_cpu else parameter.device
                    optimizer.state[parameter][what] = value.detach().to(place, copy=True)


def _names(model: nn.Module) -> dict[Tensor, str]:
    return {parameter: name for name, parameter in model.named_parameters()}


def _with_peaks(optimizer: Optimizer) -> Optimizer:
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    return optimizer


class Muon(Optimizer):
    """Momentum whose update is made orthogonal, so that no direction of a matrix learns faster than another
    (Jordan et al. 2024, kellerjordan.github.io/posts/muon). For 2-D parameters only.

    Matrices of one shape are orthogonalised together, in one batched product.

    Args:
        lr: length of a step; the update has a root mean square of about `lr` whatever the matrix (the factor
            sqrt(max(1, rows/columns)) of the reference).
        momentum: Nesterov momentum.
        weight_decay: decoupled, scaled by lr.
        compute: on which cores, and in which precision, updates are made orthogonal.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0,
                 compute: Compute = REFERENCE) -> None:
        self._compute = compute
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        assert all(p.ndim == 2 for group in self.param_groups for p in group["params"]), "Muon is for matrices"

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            same_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    same_shape[parameter.shape].append(parameter)
            for parameters in same_shape.values():
                self._step_together(parameters, group)

    def _step_together(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov: look one step further
        updates = self._orthogonal(torch.stack(ahead))
        rows, columns = parameters[0].shape
        length = group["lr"] * max(1.0, rows / columns) ** 0.5
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(updates.unbind()), alpha=-length)

    def _orthogonal(self, matrices: Tensor) -> Tensor:
        """Each core takes some of the matrices."""
        workers, dtype = self._compute.workers, self._compute.dtype
        if not self._compute.fast:
            return orthogonalise(matrices.to(dtype)).to(matrices.dtype)
        shares = workers.shares(len(matrices))

        def work(core: int) -> None:
            part = matrices[shares[core]]
            part.copy_(orthogonalise(part.to(dtype)))

        with torch.no_grad():
            workers.map(work)
        return matrices


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Brings all singular values of (N, rows, columns) near 1 by a Newton-Schulz iteration whose quintic grows small
    ones fastest (coefficients: Jordan et al. 2024); they end between about 0.7 and 1.2, which is near enough."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
