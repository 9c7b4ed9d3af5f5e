"""Where the first number that is not finite is. NaN and infinities spread, so the order of looking matters.

What lasts comes first: a weight, a moment of the optimiser. Then what a forward pass computes, in the order in which it
does so; then the loss. If all of these are finite, the backward pass made it, which goes from the output to the input.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from tinylm.model.dropout import without_dropout
from tinylm.model.taps import hooked
from tinylm.model.transformer import TinyLM
from tinylm.training.loss import Batch, total_loss
from tinylm.training.optimizer import Optimizer, optimizer_state


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no number in them is NaN or infinite. One pass over the memory, no copy."""
    return all(_finite(tensor.detach()) for tensor in tensors if tensor.is_floating_point() and tensor.numel())


def _finite(tensor: Tensor) -> bool:
    return all(math.isfinite(extreme.item()) for extreme in tensor.aminmax())  # NaN where any number is


@torch.no_grad()
def locate_nonfinite(model: nn.Module, optimizers: Iterable[Optimizer], batches: Sequence[Batch],
                     gradient_norms: Sequence[float]) -> str:
    """Names the part in which a step's first number that is not finite is: `the weights layers.2.mlp.up_proj.weight`,
    `the optimiser's exp_avg of ...`, `the activations layers.1.attn.scores`, `the loss` or `the gradient of ...`.

    The model is not changed. Its forward pass is repeated without dropout.

    Args:
        optimizers: of the model's parameters.
        batches: of the step; none: the activations and the loss are not looked at.
        gradient_norms: by parameter, in the order of `model.named_parameters()`; none: nor are the gradients.
    """
    return _weights(model) or _moments(model, optimizers) or _forward(model, batches) or _gradient(
        model, batches, gradient_norms)


def _weights(model: nn.Module) -> str:
    return next((f"the weights {name}" for name, p in model.named_parameters() if not all_finite([p])), "")


def _moments(model: nn.Module, optimizers: Iterable[Optimizer]) -> str:
    for key, moment in optimizer_state(model, optimizers).items():
        if not all_finite([moment]):
            what, _, name = key.partition(".")
            return f"the optimiser's {what} of {name}"
    return ""


def _forward(model: nn.Module, batches: Sequence[Batch]) -> str:
    """The first activation with such a number in it, or the loss."""
    found: list[str] = []

    def look(name: str, activation: Tensor) -> Tensor:
        if not found and not _finite_activation(name, activation):
            found.append(f"the activations {name}")
        return activation

    with without_dropout(model), hooked(model, look) if isinstance(model, TinyLM) else nullcontext():
        for inputs, targets in batches:
            loss = total_loss(model(inputs), targets)
            if not found and not all_finite([loss]):
                found.append("the loss")
    return next(iter(found), "")


def _finite_activation(name: str, activation: Tensor) -> bool:
    if name.endswith(".scores"):  # masked ones are -inf on purpose
        activation = activation.masked_fill(activation == -math.inf, 0.0)
    return all_finite([activation])


def _gradient(model: nn.Module, batches: Sequence[Batch], norms: Sequence[float]) -> str:
    """The gradient nearest to the output whose norm is not finite; where all norms are, the largest of them, for then
    it was the sum of their squares."""
    if not norms:
        return "the loss"
    names = [name for name, _ in model.named_parameters()]
    broken = [name for name, norm in zip(names, norms, strict=True) if not math.isfinite(norm)]
    if not broken:
        return f"the gradient of {max(zip(norms, names, strict=True))[1]}"
    return f"the gradient of {_nearest_to_output(broken, _uses(model, batches))}"


def _nearest_to_output(broken: Collection[str], uses: Sequence[str]) -> str:
    """A matrix that is both embedding and head has one gradient for both uses. It broke as the head only if what is
    used just before the head has broken as well."""
    for i, name in reversed(list(enumerate(uses))):
        if name in broken and (name not in uses[:i] or uses[i - 1] in broken):
            return name
    raise AssertionError("every parameter is in uses")


def _uses(model: nn.Module, batches: Sequence[Batch]) -> list[str]:
    """The names of the parameters in the order in which a forward pass uses them, as the modules tell that it calls.
    A parameter of none of these (learned positions) comes first."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    uses: list[str] = []

    def called(module: nn.Module, *_: object) -> None:
        uses.extend(names[parameter] for parameter in module.parameters(recurse=False))

    hooks = [module.register_forward_hook(called) for module in model.modules()]
    try:
        with without_dropout(model):
            for inputs, _ in batches[:1]:
                model(inputs[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name in names.values() if name not in uses] + uses
