"""Exercises: a question, hints, and an answer that is computed when it is checked, so that it cannot go stale.

A known mistake is computed in the same way, and has a hint of its own.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinylm.errors import TinyLMError, command

if TYPE_CHECKING:
    from tinylm.evaluation.report import Report
    from tinylm.lm import LanguageModel

Answer = tuple[float | str, ...]
"""Numbers and words, in the order that is asked for."""

RELATIVE, OF_LARGEST = 5e-3, 6e-4
"""A number is right if it is off by no more than this share of itself, or of the largest in the answer: three digits
are enough. A whole number of 2 or more must be exact."""
Part = str | tuple[float, float]
"""A part of an answer: a word, or the least and the largest number that count as right."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on an answer.

    Attributes:
        right: True if the answer is right; a verdict is as true.
        message: a sentence for the person who gave it; `str` of a verdict.
    """

    right: bool
    message: str

    def __bool__(self) -> bool:
        return self.right

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Mistake:
    """A mistake that is often made: what comes out by it, and what to say then."""

    answer: Callable[[], Answer]
    hint: str


@dataclass(frozen=True)
class Exercise(ABC):
    """A question of a page of the lesson.

    Attributes:
        number: the page, a dot, and its place on the page.
        question: in Markdown.
        form: the answer as it is typed after the number, with a capital for each part.
        hints: from a nudge to nearly the answer.
    """

    number: str
    question: str
    form: str
    hints: tuple[str, ...]

    @abstractmethod
    def check(self, given: object) -> Verdict:
        """Compares an answer with the right one. Raises: TinyLMError: it has not the form of an answer."""

    @abstractmethod
    def solution(self) -> str:
        """The right answer, computed now."""

    def command(self, answer: str = "") -> str:
        """The command that checks an answer (in Python, where the answer is a function); without one, with the answer's
        form in its place."""
        return command("learn", "check", self.number, answer or self.form)


@dataclass(frozen=True)
class ValueExercise(Exercise):
    """An exercise whose answer is some numbers or words.

    Attributes:
        answer: computes it.
        mistakes: known wrong answers.
    """

    answer: Callable[[], Answer]
    mistakes: tuple[Mistake, ...] = ()

    def check(self, given: object) -> Verdict:
        right = self.answer()
        values = self._values(given, right)
        if len(values) != len(right) and not self.form.endswith("..."):
            raise TinyLMError(f"has {len(values)} parts, and {len(right)} are asked for", where=self.number,
                              remedy=f"For example: {self.command()}")
        if _same(values, right):
            return Verdict(True, f"Right: {shown(right)}.")
        for mistake in self.mistakes:
            if _same(values, mistake.answer()):
                return Verdict(False, f"Not yet. {mistake.hint}")
        hits = _agree(values, right) if len(values) == len(right) else []
        some = f" Of {len(hits)} parts these are right: {_places(hits)}." if any(hits) else ""
        return Verdict(False, f"Not yet.{some} A hint: {command('learn', 'hint', self.number)}")

    def solution(self) -> str:
        return shown(self.answer())

    def _values(self, given: object, right: Answer) -> Answer:
        """The parts of an answer, each of the kind that is asked for."""
        given = given.tolist() if hasattr(given, "tolist") else given  # an array or a tensor
        text = re.split(r"[,;\s]+", given.strip(" ()[],;")) if isinstance(given, str) else given
        parts: list[Any] = list(text) if isinstance(text, list | tuple) else [text]
        kinds = [*map(type, right), *(str for _ in parts)]
        try:
            return tuple(str(part) if kind is str else float(part) for part, kind in zip(parts, kinds, strict=False))
        except (TypeError, ValueError, OverflowError):
            raise TinyLMError("is not made of numbers", where=f"{given!r}",
                              remedy=f"For example: {self.command()}") from None


@dataclass(frozen=True)
class Found:
    """A model folder that a person made for an exercise, and its report."""

    lm: LanguageModel
    report: Report


@dataclass(frozen=True)
class Condition:
    """A property that the person's model must have, and what to say where it has not."""

    holds: Callable[[Found], bool]
    hint: str


@dataclass(frozen=True)
class RunExercise(Exercise):
    """An exercise whose answer is a model folder.

    Attributes:
        conditions: on the model, in the order in which they are looked at.
        told: a sentence on what the model shows.
        commands: that make such a folder.
    """

    conditions: tuple[Condition, ...]
    told: Callable[[Found], str]
    commands: tuple[str, ...]

    def check(self, given: object) -> Verdict:
        import tinylm

        lm = given if isinstance(given, tinylm.LanguageModel) else tinylm.load(str(given))
        found = Found(lm, lm.evaluate())
        for condition in self.conditions:
            if not condition.holds(found):
                return Verdict(False, f"Not yet. {condition.hint}")
        return Verdict(True, f"Right. {self.told(found)}")

    def solution(self) -> str:
        return "\n".join(self.commands)


def shown(answer: Answer) -> str:
    """An answer as people write it.

    >>> shown((0.28352, 21.0, "ho"))
    '0.2835, 21, ho'
    """
    return ", ".join(value if isinstance(value, str) else f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
                     for value in answer)


def ranges(answer: Answer) -> list[Part]:
    """The parts of a right answer: the ranges in which numbers count as right, and words as they are.

    >>> ranges((0.5, 21.0, "ho"))
    [(0.4874, 0.5126), (21.0, 21.0), 'ho']
    """
    largest = max((abs(value) for value in answer if not isinstance(value, str)), default=0.0)
    return [value if isinstance(value, str) else _range(value, largest) for value in answer]


def _range(value: float, largest: float) -> tuple[float, float]:
    exact = float(value).is_integer() and abs(value) >= 2
    off = 0.0 if exact else max(RELATIVE * abs(value), OF_LARGEST * largest)
    return value - off, value + off


def _same(given: Answer, right: Answer) -> bool:
    return len(given) == len(right) and all(_agree(given, right))


def _agree(given: Answer, right: Answer) -> list[bool]:
    """Compares part by part: True for each that is right."""
    return [_is_within(*pair) for pair in zip(given, ranges(right), strict=True)]


def _is_within(mine: float | str, part: Part) -> bool:
    if isinstance(part, str) or isinstance(mine, str):
        return mine == part
    return part[0] <= mine <= part[1]


def _places(hits: list[bool]) -> str:
    return ", ".join(str(place) for place, hit in enumerate(hits, 1) if hit)
