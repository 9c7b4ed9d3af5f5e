"""Picture of page 3: the loss against one weight, with all others held, and where three optimisers put it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tinylm.errors import TinyLMError
from tinylm.inspection.heads import loss_of
from tinylm.learn.html.picture import Frame, Picture
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import LINE, WIDTH, curve, line, svg, tag, words
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import Batch
from tinylm.training.backend import TrainingBackend
from tinylm.training.loss import count_targets
from tinylm.training.optimizer import Adam, Muon

RATES = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0)
START = 5
"""The learning rate that is seen at first: its place among `RATES`."""
REACH, POINTS = 1.5, 61
"""The curve goes so far to both sides of the weight, in so many points."""
_HEIGHT, _TOP, _BOTTOM = 250, 30, 170


@dataclass(frozen=True)
class OneWeight:
    """The loss of a sentence as a function of one weight.

    Attributes:
        name: of the parameter, with the index of the weight.
        value: the weight as it is.
        gradient: the slope of the loss there.
        offsets, losses: the curve: what is added to the weight, and the loss in nats a token then.
        moves: by optimiser, how far its first step moves the weight at learning rate 1.
    """

    name: str
    value: float
    gradient: float
    offsets: Sequence[float]
    losses: Sequence[float]
    moves: dict[str, float]


def one_weight(subject: Subject) -> Picture:
    """The steepest weight of the matrices inside the layers, at several learning rates."""
    found = measure(subject.lm.model, subject.explanation.ids)
    return Picture(
        "The loss against one weight.", f"{found.name} is {found.value:.3f}. The curve is the loss of the sentence "
        "if this one number were another; the dashed line is its slope, the gradient. Dots: where one first step "
        "would put it.",
        tuple(Frame(f"{rate:g}", draw(found, rate)) for rate in RATES), START, slider="learning rate")


def measure(model: TinyLM, ids: Sequence[int]) -> OneWeight:
    """Measures the steepest weight inside the layers on a text, on a copy of the model.

    Raises:
        TinyLMError: no token of the text has one before it.

    >>> found = measure(lm.model, lm.tokenizer.encode_prompt("hello , how are"))
    >>> middle = len(found.losses) // 2
    >>> slope = (found.losses[middle + 1] - found.losses[middle - 1]) / (2 * found.offsets[middle + 1])
    >>> abs(slope - found.gradient) < 0.05 * abs(found.gradient)
    True
    """
    if len(ids) < 2:
        raise TinyLMError("in this sentence there is no token to predict", where="the text",
                          remedy="Give a longer one")
    model = copy.deepcopy(model).eval()
    batch: Batch = np.array([ids[:-1]], np.int64), np.array([ids[1:]], np.int64)
    TrainingBackend(model).backward([batch], count_targets([batch]), dropout_seed=0)
    matrices = {name: each for name, each in model.named_parameters() if name.startswith("layers.") and each.ndim == 2}
    gradients = {name: each.grad for name, each in matrices.items() if each.grad is not None}
    name = max(gradients, key=lambda each: float(gradients[each].abs().max()))
    place = np.unravel_index(int(gradients[name].abs().argmax()), gradients[name].shape)
    row, column = int(place[0]), int(place[1])
    weight, value, gradient = matrices[name], matrices[name][row, column].item(), gradients[name][row, column].item()
    adam = Adam([{"params": [weight], "lr": 1.0, "betas": (0.9, 0.95), "weight_decay": 0.0}])
    moves = {"SGD": -gradient, "Adam": _move(adam, weight, row, column),
             "Muon": _move(Muon([weight], 1.0), weight, row, column)}
    offsets = np.linspace(-REACH, REACH, POINTS).tolist()
    return OneWeight(f"{name}[{row}, {column}]", value, gradient, offsets,
                     [_loss_with(model, weight, (row, column), value + offset, batch) for offset in offsets], moves)


def draw(found: OneWeight, rate: float) -> str:
    """The curve, its tangent, and the three steps at a learning rate."""
    low, high = min(found.losses), max(found.losses)
    middle = loss_at(found, 0.0)

    def x(offset: float) -> float:
        return WIDTH / 2 + offset / REACH * (WIDTH / 2 - 8)

    def y(loss: float) -> float:
        return _BOTTOM - (loss - low) / ((high - low) or 1.0) * (_BOTTOM - _TOP)

    parts, said = [], []
    for number, (name, move) in enumerate(found.moves.items()):
        offset = rate * move
        shown = max(-REACH, min(REACH, offset))
        beyond = " beyond the curve" if shown != offset else ""
        loss = loss_at(found, shown)
        said.append(f"{name} moves it by {offset:+.3f}")
        parts.append(tag("circle", cx=x(shown), cy=y(loss), r=5, class_=f"step step{number}"))
        row = _HEIGHT - LINE * (len(found.moves) - number) + 14
        parts.append(tag("circle", cx=8, cy=row - 4, r=5, class_=f"step step{number}"))
        parts.append(words(20, row, f"{name}: {offset:+.3f}" + (beyond or f", loss {loss:.3f}")))
    tangent = [(offset, middle + found.gradient * offset) for offset in (-0.6, 0.6)]
    about = f"Loss against {found.name}: slope {found.gradient:+.3f}. At learning rate {rate:g} {', '.join(said)}"
    return svg(
        _HEIGHT, about,
        words(0, 14, f"loss {high:.2f}", class_="number"), words(0, _BOTTOM + 14, f"{low:.2f}", class_="number"),
        words(WIDTH, 14, f"learning rate {rate:g}", text_anchor="end", class_="strong"),
        line(0, _BOTTOM, WIDTH, _BOTTOM), line(x(0.0), _TOP, x(0.0), _BOTTOM),
        words(x(0.0), _BOTTOM + 14, f"{found.value:.3f}", text_anchor="middle", class_="number"),
        curve([(x(offset), y(loss)) for offset, loss in zip(found.offsets, found.losses, strict=True)]),
        curve([(x(offset), max(4.0, min(_BOTTOM + 4, y(loss)))) for offset, loss in tangent], "tangent"), *parts)


def loss_at(found: OneWeight, offset: float) -> float:
    """The loss on the curve, between its points by a straight line."""
    return float(np.interp(offset, found.offsets, found.losses))


def _move(optimizer: Adam | Muon, weight: torch.nn.Parameter, row: int, column: int) -> float:
    """The distance that an optimiser's first step moves a weight; the weight is then put back."""
    before = weight.detach().clone()
    optimizer.step()
    moved = (weight[row, column] - before[row, column]).item()
    with torch.no_grad():
        weight.copy_(before)
    return moved


def _loss_with(model: TinyLM, weight: torch.nn.Parameter, place: tuple[int, int], value: float, batch: Batch) -> float:
    before = weight[place].item()
    with torch.no_grad():
        weight[place] = value
        loss = loss_of(model, [batch])
        weight[place] = before
    return loss
