"""A training step seen from one weight: its gradient, and what the optimiser of the run makes of it.

The step is made on a copy of the model, by the code that trains (training/step.py).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tinylm.config.schema import TrainConfig
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.inspection.structure import training_flops_per_token
from tinylm.model.taps import Hook, hooked
from tinylm.model.threads import threads_for, torch_threads
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import Batch
from tinylm.training.backend import TrainingBackend
from tinylm.training.loss import count_targets
from tinylm.training.optimizer import Muon, Optimizer, make_optimizers
from tinylm.training.step import train_step

_WEIGHT = re.compile(r"(?P<name>[\w.]+)\[(?P<index>\d{1,9}(?:\s*,\s*\d{1,9})*)\]")


@dataclass(frozen=True)
class TrainingStep:
    """A training step on one text, seen from one weight.

    The optimiser is that of the run, with its peak learning rate and no memory of earlier steps. Dropout is off.

    Attributes:
        weight: the name of the parameter tensor, with the index of the number in it.
        gradient: by how much the loss would rise for each unit that the weight rises: the slope.
        value_before, value_after: of the weight.
        optimizer: "adam", "adamw" or "muon", whichever updates this weight.
        learning_rate: of this weight.
        gradient_norm: the length of the gradient of all weights together.
        clipped_to: the length to which that was shortened before the update; None: it was short enough.
        loss_before, loss_after: of the text in nats a token; all weights have moved in between.
        tokens: of the text that are predicted.
    """

    weight: str
    gradient: float
    value_before: float
    value_after: float
    optimizer: str
    learning_rate: float
    gradient_norm: float
    clipped_to: float | None
    loss_before: float
    loss_after: float
    tokens: int


def training_step(model: TinyLM, ids: Sequence[int], config: TrainConfig, weight: str | None = None,
                  hooks: Sequence[Hook] = ()) -> TrainingStep:
    """Makes one training step on a text, on a copy of the model.

    Args:
        ids: at least two; each after the first is predicted.
        config: names the optimiser, its learning rates, weight decay and clipping.
        weight: such as `layers.0.mlp.up_proj.weight[3, 5]`; None: the one with the largest gradient.
        hooks: interventions.

    Raises:
        TinyLMError: no such weight, or nothing to predict.

    >>> from tinylm import ModelConfig
    >>> model = TinyLM(ModelConfig.preset("notebook", vocab_size=12))
    >>> step = training_step(model, [1, 5, 6, 7], TrainConfig(steps=1), "out_head.weight[7, 0]")
    >>> step.optimizer, step.loss_after < step.loss_before
    ('adamw', True)
    """
    if len(ids) < 2:
        raise TinyLMError("there is nothing to predict in a text of one token", where="the text",
                          remedy="Give a longer one")
    model = copy.deepcopy(model).eval()
    chosen = None if weight is None else _find_weight(weight, model)
    batch = np.array([ids[:-1]], np.int64), np.array([ids[1:]], np.int64)
    threads = torch_threads(threads_for(len(ids) * training_flops_per_token(model.config, len(ids))))
    with threads, hooked(model, *hooks):
        gradients = _gradients(model, batch)
        name, index = chosen or _steepest(gradients)
        parameter, before = model.get_parameter(name), model.get_parameter(name)[index].item()
        optimizers = make_optimizers(model, config)
        result = train_step(model, optimizers, [batch], grad_clip=config.grad_clip)
        loss = TrainingBackend(model).loss(*batch).item() / len(ids[1:])
    if not result.applied:
        raise TinyLMError("its gradient is not a finite number", where="the model",
                          remedy="The model is damaged: restore its folder from a copy, or train again")
    optimizer, rate = _updater(optimizers, parameter)
    name_of = "muon" if isinstance(optimizer, Muon) else "adam" if config.optimizer == "adam" else "adamw"
    return TrainingStep(
        f"{name}[{', '.join(map(str, index))}]", gradients[name][index].item(), before, parameter[index].item(),
        name_of, rate, result.gradient_norm,
        config.grad_clip if 0 < config.grad_clip < result.gradient_norm else None, result.loss, loss, len(ids[1:]))


def _gradients(model: TinyLM, batch: Batch) -> dict[str, Tensor]:
    """The gradient of the mean loss, by parameter. The model is left without."""
    TrainingBackend(model).backward([batch], count_targets([batch]), dropout_seed=0)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    model.zero_grad(set_to_none=True)
    return gradients


def _steepest(gradients: dict[str, Tensor]) -> tuple[str, tuple[int, ...]]:
    """The weight with the largest gradient, whatever its sign."""
    name = max(gradients, key=lambda each: float(gradients[each].abs().max()))
    flat = int(gradients[name].abs().argmax())
    return name, tuple(int(axis) for axis in np.unravel_index(flat, gradients[name].shape))


def _find_weight(weight: str, model: TinyLM) -> tuple[str, tuple[int, ...]]:
    """The tensor and the index of a weight that a person named. Raises: TinyLMError: there is none."""
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    found = _WEIGHT.fullmatch(weight.strip())
    name = found["name"] if found else weight.partition("[")[0].strip()
    if name not in shapes:
        raise TinyLMError(f"there is no parameter {name!r}", where="weight", remedy=did_you_mean(name, shapes))
    index = tuple(map(int, found["index"].split(","))) if found else ()
    shape = shapes[name]
    if len(index) != len(shape) or any(each >= size for each, size in zip(index, shape, strict=True)):
        last = ", ".join(str(size - 1) for size in shape)
        raise TinyLMError(f"{name} has the shape {shape}, and {weight!r} is no number in it", where="weight",
                          remedy=f"Its numbers go from {name}[{', '.join('0' * len(shape))}] to {name}[{last}]")
    return name, index


def _updater(optimizers: Sequence[Optimizer], parameter: Tensor) -> tuple[Optimizer, float]:
    """The optimiser that updates a parameter, and the learning rate."""
    return next((optimizer, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups
                if any(each is parameter for each in group["params"]))
