"""Optimisers: Adam, AdamW, and Muon for the matrices inside the layers.

Which parameter goes where is one function, `parameter_groups`, and its groups cover the model exactly. The optimisers
are our own, around torch's fused kernel: torch.optim takes a second to import, and looks into things that are not used
here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tinylm.config.schema import TrainConfig
from tinylm.training.backend import REFERENCE, Compute

Group = dict[str, Any]
"""Parameters under "params", and the numbers that hold for them: "lr", "weight_decay", ..."""


class Optimizer(Protocol):
    """What changes parameters; torch.optim's are such, too."""

    param_groups: list[Group]
    state: Any
    """By parameter, what is remembered of it: names and tensors."""

    def step(self) -> Any: ...

    def zero_grad(self, set_to_none: bool = True) -> None: ...


def make_optimizers(model: nn.Module, config: TrainConfig, compute: Compute = REFERENCE) -> list[Optimizer]:
    """The optimisers of a run. Each group carries `peak`, the learning rate that the schedule scales.

    Args:
        compute: where and in which precision Muon makes its products.
    """
    groups = parameter_groups(model)
    rates = {"lr": config.learning_rate, "betas": (config.beta1, config.beta2)}
    if config.optimizer == "adam":
        everything = [p for group in groups.values() for p in group]
        return [_with_peaks(Adam([{**rates, "params": everything, "weight_decay": config.weight_decay}],
                                 decoupled=False))]
    decayed = groups["matrices"] if config.optimizer == "adamw" else []
    adamw = Adam([{**rates, "params": [*decayed, *groups["embeddings"]], "weight_decay": config.weight_decay},
                  {**rates, "params": groups["vectors"], "weight_decay": 0.0}])
    if config.optimizer == "adamw":
        return [_with_peaks(adamw)]
    muon = Muon(groups["matrices"], config.muon_learning_rate, weight_decay=config.weight_decay, compute=compute)
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


def optimizer_state(model: nn.Module, optimizers: Iterable[Optimizer]) -> dict[str, Tensor]:
    """All that the optimisers remember, as `<what>.<parameter>`, e.g. `exp_avg.ln_f.weight`: the tensors in use."""
    names = _names(model)
    return {f"{what}.{names[parameter]}": value for optimizer in optimizers
            for parameter, remembered in optimizer.state.items() for what, value in remembered.items()}


def load_optimizer_state(model: nn.Module, optimizers: Iterable[Optimizer], saved: Mapping[str, Tensor]) -> None:
    """Puts back what `optimizer_state` gave, and forgets everything else."""
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
                    optimizer.state[parameter][what] = value.detach().to(parameter.device, copy=True)


def _names(model: nn.Module) -> dict[Tensor, str]:
    return {parameter: name for name, parameter in model.named_parameters()}


def _with_peaks(optimizer: Optimizer) -> Optimizer:
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    return optimizer


class _Remembering:
    """Groups of parameters, and what is remembered of each of them."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.param_groups = [dict(group) for group in groups]
        self.state: defaultdict[Tensor, dict[str, Tensor]] = defaultdict(dict)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients."""
        assert set_to_none
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None


class Adam(_Remembering):
    """Adam (Kingma & Ba 2014, arXiv 1412.6980), and with `decoupled` weight decay AdamW (Loshchilov & Hutter 2017,
    arXiv 1711.05101), by torch's fused kernel.

    Args:
        groups: each with "params", "lr", "betas" and "weight_decay".
    """

    def __init__(self, groups: Sequence[Group], *, decoupled: bool = True, eps: float = 1e-8) -> None:
        super().__init__(groups)
        self._update = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self._eps = eps

    @torch.no_grad()
    def step(self) -> None:
        """One update; parameters without a gradient stay as they are."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            remembered = [self._remembered(parameter) for parameter in parameters]
            steps = [each["step"] for each in remembered]
            torch._foreach_add_(steps, 1.0)
            self._update(parameters, [parameter.grad for parameter in parameters],
                         [each["exp_avg"] for each in remembered], [each["exp_avg_sq"] for each in remembered], [],
                         steps, lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
                         weight_decay=group["weight_decay"], eps=self._eps, amsgrad=False, maximize=False)

    def _remembered(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return state


class Muon(_Remembering):
    """Momentum whose update is made orthogonal, so that no direction of a matrix learns faster than another
    (Jordan et al. 2024, kellerjordan.github.io/posts/muon). For 2-D parameters only.

    Each core takes some of the matrices, and those of one shape together, in batched products.

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
        super().__init__([{"params": list(params), "lr": lr, "momentum": momentum, "weight_decay": weight_decay}])
        assert all(p.ndim == 2 for group in self.param_groups for p in group["params"]), "Muon is for matrices"

    def step(self) -> None:
        """One update; parameters without a gradient stay as they are."""
        workers, cores = self._compute.workers, self._compute.workers.cores if self._compute.fast else 1
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]["momentum"] = torch.zeros_like(parameter)
            shares = partition_by_cost(parameters, cores)
            workers.map(lambda core: self._step_share(shares[core], group), cores)  # noqa: B023

    @torch.no_grad()
    def _step_share(self, parameters: list[Tensor], group: Group) -> None:
        same_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            same_shape[parameter.shape].append(parameter)
        for together in same_shape.values():
            self._step_together(together, group)

    def _step_together(self, parameters: list[Tensor], group: Group) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        momenta = [self.state[p]["momentum"] for p in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov: look one step further
        updates = newton_schulz(torch.stack(ahead).to(self._compute.dtype)).to(parameters[0].dtype)
        rows, columns = parameters[0].shape
        length = group["lr"] * max(1.0, rows / columns) ** 0.5
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(updates.unbind()), alpha=-length)


def partition_by_cost(matrices: Iterable[Tensor], cores: int) -> list[list[Tensor]]:
    """Of about equal work: each matrix, the largest first, goes to the core that has the least so far."""
    shares: list[list[Tensor]] = [[] for _ in range(cores)]
    work = [0] * cores
    for matrix in sorted(matrices, key=newton_schulz_cost, reverse=True):
        least = work.index(min(work))
        shares[least].append(matrix)
        work[least] += newton_schulz_cost(matrix)
    return shares


def newton_schulz_cost(matrix: Tensor) -> int:
    """Of making it orthogonal, up to a factor: products of n x n with n x n, once, and with n x m, twice."""
    small, large = sorted(matrix.shape)
    return small * small * (small + 2 * large)


def newton_schulz(matrices: Tensor, steps: int = 5) -> Tensor:
    """Brings all singular values of (N, rows, columns) near 1 by a Newton-Schulz iteration whose quintic grows small
    ones fastest (coefficients: Jordan et al. 2024); they end between about 0.7 and 1.2, which is near enough."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT.contiguous() if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
