"""The search for the first number that is not finite. NaN and infinities spread, so the order of the search matters.

Tensors that last come first: the weights, the optimisers' state. The activations of a forward pass follow in the order
in which they are computed, then the loss. If all of these are finite, the number arose in the backward pass, which goes
from the output to the input.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from tinylm.model.dropout import without_dropout
from tinylm.model.taps import HasTaps, hooked
from tinylm.text.rows import Batch
from tinylm.training.backend import TrainingBackend
from tinylm.training.loss import total_loss
from tinylm.training.optimizer import Optimizer, optimizer_state, trained_parameters


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """True if no number in the tensors is NaN or infinite. One pass over the memory, no copy.

    >>> all_finite([torch.zeros(3)]), all_finite([torch.zeros(3), torch.tensor([1.0, math.nan])])
    (True, False)
    """
    return all(_finite(tensor.detach()) for tensor in tensors if tensor.is_floating_point() and tensor.numel())


def _finite(tensor: Tensor) -> bool:
    return all(math.isfinite(extreme.item()) for extreme in tensor.aminmax())  # NaN where any number is


@torch.no_grad()
def locate_nonfinite(model: nn.Module, optimizers: Iterable[Optimizer], batches: Sequence[Batch],
                     gradient_norms: Sequence[float]) -> str:
    """Names the part that holds a step's first number that is not finite: `the weights layers.2.mlp.up_proj.weight`,
    `the optimiser's exp_avg of ...`, `the activations layers.1.attn.scores`, `the loss` or `the gradient of ...`.

    The model is not changed. Its forward pass is repeated without dropout.

    Args:
        optimizers: of the model's parameters.
        batches: of the step; without any, activations and loss are not searched.
        gradient_norms: by parameter, in the order of `trained_parameters(model)`; without any, gradients are not
            searched.
    """
    return _weights(model) or _optimizer_state(model, optimizers) or _forward(model, batches) or _gradient(
        model, batches, gradient_norms)


def _weights(model: nn.Module) -> str:
    return next((f"the weights {name}" for name, p in model.named_parameters() if not all_finite([p])), "")


def _optimizer_state(model: nn.Module, optimizers: Iterable[Optimizer]) -> str:
    for key, tensor in optimizer_state(model, optimizers).items():
        if not all_finite([tensor]):
            kind, _, name = key.partition(".")
            return f"the optimiser's {kind} of {name}"
    return ""


def _forward(model: nn.Module, batches: Sequence[Batch]) -> str:
    """The first activation that is not finite, or the loss."""
    found: list[str] = []

    def look(name: str, activation: Tensor) -> Tensor:
        if not found and not _finite_activation(name, activation):
            found.append(f"the activations {name}")
        return activation

    backend = TrainingBackend(model)
    with without_dropout(model), hooked(model, look) if isinstance(model, HasTaps) else nullcontext():
        for inputs, targets in batches:
            loss = total_loss(model(backend.to_device(inputs)), backend.to_device(targets))
            if not found and not all_finite([loss]):
                found.append("the loss")
    return next(iter(found), "")


def _finite_activation(name: str, activation: Tensor) -> bool:
    if name.endswith(".scores"):  # masked ones are -inf on purpose
        activation = activation.masked_fill(activation == -math.inf, 0.0)
    return all_finite([activation])


def _gradient(model: nn.Module, batches: Sequence[Batch], norms: Sequence[float]) -> str:
    """The gradient nearest to the output whose norm is not finite. If all norms are finite, the sum of their squares
    was not: the largest one is named."""
    if not norms:
        return "the loss"
    names = list(trained_parameters(model))
    broken = [name for name, norm in zip(names, norms, strict=True) if not math.isfinite(norm)]
    if not broken:
        return f"the gradient of {max(zip(norms, names, strict=True))[1]}"
    return f"the gradient of {_nearest_to_output(broken, _uses(model, batches))}"


def _nearest_to_output(broken: Collection[str], uses: Sequence[str]) -> str:
    """The last used of the broken parameters. A matrix that is both embedding and head has one gradient for both uses:
    it broke as the head only if the parameter used just before the head has broken as well."""
    for i, name in reversed(list(enumerate(uses))):
        if name in broken and (name not in uses[:i] or uses[i - 1] in broken):
            return name
    raise AssertionError("every parameter is in uses")


def _uses(model: nn.Module, batches: Sequence[Batch]) -> list[str]:
    """The names of the parameters in the order in which a forward pass calls their modules. A parameter of no module
    that is called (learned positions) comes first."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    uses: list[str] = []

    def called(module: nn.Module, *_: object) -> None:
        uses.extend(names[parameter] for parameter in module.parameters(recurse=False))

    hooks = [module.register_forward_hook(called) for module in model.modules()]
    try:
        with without_dropout(model):
            for inputs, _ in batches[:1]:
                model(TrainingBackend(model).to_device(inputs[:1]))
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name in names.values() if name not in uses] + uses
