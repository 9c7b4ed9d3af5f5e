"""Exercises whose answer is a function: its values and its gradients are held against the shipped code's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinylm.errors import TinyLMError
from tinylm.learn.exercise import Exercise, Verdict

if TYPE_CHECKING:
    from torch import Tensor

Function = Callable[..., Any]
CLOSE = 1e-4
"""The largest difference between two numbers that are called equal, relative to the largest of them."""


@dataclass(frozen=True)
class WrongFunction:
    """A function that is often written in place of the right one, and what to say then."""

    function: Function
    hint: str


@dataclass(frozen=True)
class CodeExercise(Exercise):
    """An exercise whose answer is a function of tensors.

    Attributes:
        name: another name for the exercise's number, and the name of the function.
        function: the right one, made of shipped code.
        inputs: makes the tensors that both are tried on.
        mistakes: known wrong functions.
        source: lines that solve it.
        gradients: the function is a step of a model, whose gradients are compared, too.
    """

    name: str
    function: Function
    inputs: Callable[[], tuple[Tensor, ...]]
    mistakes: tuple[WrongFunction, ...]
    source: str
    gradients: bool = True

    def check(self, given: object) -> Verdict:
        if not callable(given):
            raise TinyLMError(f"is answered by a function, in Python: {self.command('my_function')}",
                              where=self.number, remedy=f"The function is {self.form}")
        right = _run(self.function, self.inputs(), self.gradients)
        try:
            mine = _run(given, self.inputs(), self.gradients)
        except Exception as error:  # whatever a person's code raises is a thing to tell
            return Verdict(False, f"Not yet. Your function raised {type(error).__name__}: {error}")
        if mine[0].shape != right[0].shape:
            return Verdict(False, f"Not yet. The result has the shape {tuple(mine[0].shape)}, and should have "
                                  f"{tuple(right[0].shape)}.{self._known(mine)}")
        difference = _difference(mine, right)
        if max(difference) <= CLOSE:
            return Verdict(True, f"Right: the values {_closeness(difference[0])}"
                                 + (f", the gradients {_closeness(difference[1])}." if len(right) > 1 else "."))
        if difference[0] <= CLOSE:
            return Verdict(False, "Not yet. The values are right and their gradients are not: does every step of the "
                                  "function stay a tensor, without .item(), .detach() or NumPy?")
        wrong = float((~(mine[0] - right[0]).abs().le(CLOSE * right[0].abs().max())).float().mean())
        return Verdict(False, f"Not yet. {wrong:.0%} of the numbers differ.{self._known(mine)}")

    def solution(self) -> str:
        return self.source

    def command(self, answer: str = "") -> str:
        return f"tinylm.learn.check({self.name!r}, {answer or self.name})"

    def _known(self, mine: list[Tensor]) -> str:
        """The hint of the mistake that gives the same numbers."""
        for mistake in self.mistakes:
            theirs = _run(mistake.function, self.inputs(), gradients=False)
            if theirs[0].shape == mine[0].shape and _difference(mine[:1], theirs)[0] <= CLOSE:
                return f" {mistake.hint}"
        return ""


def _run(function: Function, inputs: tuple[Tensor, ...], gradients: bool) -> list[Tensor]:
    """The result of a function, and the gradients of a weighted sum of it at each input of fractions."""
    import torch

    inputs = tuple(each.detach().clone().requires_grad_(gradients and each.is_floating_point())
                   for each in inputs)
    result = torch.as_tensor(function(*inputs))
    weights = torch.linspace(-1, 1, result.numel()).reshape(result.shape)
    if not gradients or not result.requires_grad:
        return [result.detach().float()]
    of = [each for each in inputs if each.requires_grad]
    found = torch.autograd.grad((result * weights).sum(), of, allow_unused=True)
    return [result.detach().float(), *(torch.zeros_like(x) if g is None else g for x, g in zip(of, found, strict=True))]


def _difference(mine: list[Tensor], right: list[Tensor]) -> tuple[float, float]:
    """The largest relative difference of the values, and of the gradients; infinite where there are none."""
    def largest(pair: tuple[Tensor, Tensor]) -> float:
        found = float((pair[0] - pair[1]).abs().max() / pair[1].abs().max().clamp_min(1e-12))
        return found if found == found else float("inf")

    gradients = [largest(pair) for pair in zip(mine[1:], right[1:], strict=False)]
    missing = float("inf") if len(mine) < len(right) else 0.0
    return largest((mine[0], right[0])), max([missing, *gradients])


def _closeness(difference: float) -> str:
    return "exact" if difference == 0 else f"close (largest difference {difference:.0e} of the largest number)"
