"""Optimisers: Adam, AdamW, and Muon for the matrices inside the layers.

One function, `parameter_groups`, decides which optimiser gets a parameter, and its groups cover the trained parameters
exactly. A parameter whose `requires_grad` is false is frozen: it is in no group, so it has no optimiser state and no
weight decay. The optimisers are our own, around torch's fused kernel: torch.optim takes a second to import, and looks
into things that are not used here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tinylm.config.schema import TrainConfig
from tinylm.training.backend import REFERENCE, Compute

Group = dict[str, Any]
"""Parameters under "params", and the numbers that hold for them: "lr", "weight_decay", ..."""


class Optimizer(Protocol):
    """An optimiser: changes parameters by their gradients. Those of torch.optim fit, too.

    Attributes:
        param_groups: the parameters, with the numbers that hold for them.
        state: by parameter, tensors by name, such as a moving average of its gradients.
    """

    param_groups: list[Group]
    state: Any

    def step(self) -> Any: ...

    def zero_grad(self, set_to_none: bool = True) -> None: ...


def make_optimizers(model: nn.Module, config: TrainConfig, compute: Compute = REFERENCE) -> list[Optimizer]:
    """Makes the optimisers of a run. Each group carries `peak`, the learning rate that the schedule scales.

    Args:
        model: whose trained parameters each belong to one of the optimisers.
        config: names the optimiser and gives its learning rates and weight decay.
        compute: the cores and the precision of Muon's products.
    """
    groups = parameter_groups(model)
    assert any(groups.values()), "every parameter is frozen"
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
    """Groups the trained parameters: `matrices` inside the layers, `embeddings` (with the head and learned positions),
    and `vectors` (norms and biases), which are never decayed.

    >>> from tinylm import ModelConfig, TinyLM
    >>> model = TinyLM(ModelConfig(vocab_size=4, d_model=8, n_layers=1, n_heads=1))
    >>> model.embed.weight.requires_grad = False
    >>> {group: len(parameters) for group, parameters in parameter_groups(model).items()}
    {'matrices': 7, 'embeddings': 1, 'vectors': 5}
    """
    groups: dict[str, list[Tensor]] = {"matrices": [], "embeddings": [], "vectors": []}
    for name, parameter in trained_parameters(model).items():
        if parameter.ndim < 2:
            groups["vectors"].append(parameter)
        elif name.startswith("layers."):
            groups["matrices"].append(parameter)
        else:
            groups["embeddings"].append(parameter)
    return groups


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are not frozen (`requires_grad`), by name and in the model's order."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def scale_learning_rate(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Sets every group's learning rate to `factor` times its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor


def optimizer_state(model: nn.Module, optimizers: Iterable[Optimizer]) -> dict[str, Tensor]:
    """The optimisers' state as `<name>.<parameter>`, such as `exp_avg.ln_f.weight`: the tensors in use, not copies."""
    names = _names(model)
    return {f"{kind}.{names[parameter]}": value for optimizer in optimizers
            for parameter, tensors in optimizer.state.items() for kind, value in tensors.items()}


def load_optimizer_state(model: nn.Module, optimizers: Iterable[Optimizer], saved: Mapping[str, Tensor]) -> None:
    """Replaces the optimisers' state by copies of what `optimizer_state` gave."""
    by_parameter: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, value in saved.items():
        kind, _, name = key.partition(".")
        by_parameter[name][kind] = value
    names = _names(model)
    for optimizer in optimizers:
        optimizer.state.clear()
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                for kind, value in by_parameter[names[parameter]].items():
                    optimizer.state[parameter][kind] = value.detach().to(parameter.device, copy=True)


def _names(model: nn.Module) -> dict[Tensor, str]:
    return {parameter: name for name, parameter in model.named_parameters()}


def _with_peaks(optimizer: Optimizer) -> Optimizer:
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    return optimizer


class _Stateful:
    """Groups of parameters, and state tensors of each parameter."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.param_groups = [dict(group) for group in groups]
        self.state: defaultdict[Tensor, dict[str, Tensor]] = defaultdict(dict)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients."""
        assert set_to_none
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None


class Adam(_Stateful):
    """Adam (Kingma & Ba 2014, arXiv 1412.6980), and with `decoupled` weight decay AdamW (Loshchilov & Hutter 2017,
    arXiv 1711.05101), by torch's fused kernel.

    Args:
        groups: each with "params", "lr", "betas" and "weight_decay".
        decoupled: weight decay shrinks the weights themselves; false: it is added to the gradients.
        eps: added to the denominator of the update.
    """

    def __init__(self, groups: Sequence[Group], *, decoupled: bool = True, eps: float = 1e-8) -> None:
        super().__init__(groups)
        self._update = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self._eps = eps

    @torch.no_grad()
    def step(self) -> None:
        """Makes one update; parameters without a gradient stay as they are."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            states = [self._state_of(parameter) for parameter in parameters]
            steps = [each["step"] for each in states]
            torch._foreach_add_(steps, 1.0)
            self._update(parameters, [parameter.grad for parameter in parameters],
                         [each["exp_avg"] for each in states], [each["exp_avg_sq"] for each in states], [],
                         steps, lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
                         weight_decay=group["weight_decay"], eps=self._eps, amsgrad=False, maximize=False)

    def _state_of(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return state


class Muon(_Stateful):
    """Muon: momentum whose update is made orthogonal, so that no direction of a matrix learns faster than another
    (Jordan et al. 2024, kellerjordan.github.io/posts/muon). For 2-D parameters only.

    Each rank takes some of the matrices, each of its cores some of these, and those of one shape go together, in
    batched products. The momentum of all matrices is on all ranks: it costs little beside making an update orthogonal.

    Args:
        params: the matrices.
        lr: length of a step; the update has a root mean square of about `lr` whatever the matrix (the factor
            sqrt(max(1, rows/columns)) of the reference).
        momentum: Nesterov momentum.
        weight_decay: decoupled, scaled by lr.
        compute: on which cores, and in which precision, updates are made orthogonal.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0,
                 compute: Compute = REFERENCE) -> None:
        self._compute = compute
        self._dtype = torch.bfloat16 if compute.dtype == torch.bfloat16 else torch.float32  # float16 has no range
        self._polynomial = odd_polynomial
        if compute.fast and compute.dtype == torch.float32:
            from tinylm.training.cpu import matrices

            self._polynomial = matrices.odd_polynomial
        super().__init__([{"params": list(params), "lr": lr, "momentum": momentum, "weight_decay": weight_decay}])
        assert all(p.ndim == 2 for group in self.param_groups for p in group["params"]), "Muon is for matrices"

    def step(self) -> None:
        """Makes one update; parameters without a gradient stay as they are."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]["momentum"] = torch.zeros_like(parameter)
            world, by_rank = self._compute.world, partition_by_cost(parameters, self._compute.world.size)
            if world.size == 1:
                self._on_cores(by_rank[0], lambda share: self._apply(self._updates(share, group), group))  # noqa: B023
            else:
                self._step_shared(by_rank, group)

    @torch.no_grad()
    def _step_shared(self, by_rank: list[list[Tensor]], group: Group) -> None:
        """Makes one update: each rank has the updates of its own matrices, and gets those of the others."""
        world, momenta = self._compute.world, self.state
        flat = [torch.empty(sum(map(torch.numel, share)), dtype=self._dtype) for share in by_rank]
        updates = {parameter: part.view_as(parameter) for share, whole in zip(by_rank, flat, strict=True)
                   for parameter, part in zip(share, whole.split([p.numel() for p in share]), strict=True)}

        def own(share: list[Tensor]) -> None:
            for parameters, made in self._updates(share, group):
                torch._foreach_copy_([updates[parameter] for parameter in parameters], list(made.unbind()))

        self._on_cores(by_rank[world.rank], own)
        for rank, share in enumerate(by_rank):
            if rank != world.rank and share:
                torch._foreach_lerp_([momenta[p]["momentum"] for p in share],
                                     [p.grad for p in share if p.grad is not None], 1 - group["momentum"])
        world.fill(enumerate(flat))
        everything = [parameter for share in by_rank for parameter in share]
        self._on_cores(everything, lambda share: self._apply(
            [([parameter], updates[parameter].unsqueeze(0)) for parameter in share], group))

    def _on_cores(self, parameters: list[Tensor], work: Callable[[list[Tensor]], None]) -> None:
        """Calls `work` with a share of the matrices on each core."""
        workers = self._compute.workers
        shares = partition_by_cost(parameters, workers.cores if self._compute.fast else 1)
        workers.map(lambda core: work(shares[core]), len(shares))

    @torch.no_grad()
    def _updates(self, parameters: list[Tensor], group: Group) -> Iterator[tuple[list[Tensor], Tensor]]:
        """Yields matrices of one shape, and their updates (N, rows, columns), of length 1."""
        same_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            same_shape[parameter.shape].append(parameter)
        for together in same_shape.values():
            gradients = [p.grad for p in together if p.grad is not None]
            momenta = [self.state[p]["momentum"] for p in together]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov: look one step further
            yield together, newton_schulz(torch.stack(ahead).to(self._dtype), polynomial=self._polynomial)

    @torch.no_grad()
    def _apply(self, updates: Iterable[tuple[list[Tensor], Tensor]], group: Group) -> None:
        for parameters, made in updates:
            rows, columns = parameters[0].shape
            length = group["lr"] * max(1.0, rows / columns) ** 0.5
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(parameters, list(made.to(parameters[0].dtype).unbind()), alpha=-length)


def partition_by_cost(matrices: Iterable[Tensor], cores: int) -> list[list[Tensor]]:
    """Distributes matrices among cores, in shares of about equal cost: each matrix, the costliest first, goes to the
    core that has the least so far (the greedy rule for makespan, Graham 1969).

    >>> [[len(matrix) for matrix in share] for share in partition_by_cost([torch.empty(n, n) for n in (2, 4, 3)], 2)]
    [[4], [3, 2]]
    """
    shares: list[list[Tensor]] = [[] for _ in range(cores)]
    work = [0] * cores
    for matrix in sorted(matrices, key=newton_schulz_cost, reverse=True):
        least = work.index(min(work))
        shares[least].append(matrix)
        work[least] += newton_schulz_cost(matrix)
    return shares


def newton_schulz_cost(matrix: Tensor) -> int:
    """The cost of `newton_schulz` for a matrix, up to a factor: products of n x n with n x n, once, and with n x m,
    twice, where n is its shorter side."""
    small, large = sorted(matrix.shape)
    return small * small * (small + 2 * large)


def odd_polynomial(x: Tensor, a: float, b: float, c: float) -> Tensor:
    """a x + b (x x^T) x + c (x x^T)^2 x of each matrix x, (N, rows, columns): the same polynomial of its singular
    values."""
    gram = torch.bmm(x, x.mT)
    return torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)


def newton_schulz(matrices: Tensor, steps: int = 5,
                  polynomial: Callable[[Tensor, float, float, float], Tensor] = odd_polynomial) -> Tensor:
    """Makes matrices nearly orthogonal: brings all their singular values near 1.

    A Newton-Schulz iteration, whose quintic polynomial grows small singular values fastest (coefficients: Jordan et al.
    2024). The singular values end between about 0.7 and 1.2, which is near enough.

    Args:
        matrices: (N, rows, columns).
        polynomial: computes what `odd_polynomial` does.

    >>> values = torch.linalg.svdvals(newton_schulz(torch.diag(torch.tensor([3.0, 0.2])).unsqueeze(0)))
    >>> bool(((values > 0.6) & (values < 1.3)).all())
    True
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT.contiguous() if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        x = polynomial(x, 3.4445, -4.7750, 2.0315)
    return x.mT if tall else x
