"""Answers that lie in a page: the same verdicts as those of the command."""

from __future__ import annotations

import base64
import json
import re

import pytest

from tinylm.learn.exercise import ValueExercise
from tinylm.learn.exercises import EXERCISES
from tinylm.learn.html.answers import Part, answers_element, ranges, stored_answers
from tinylm.learn.pages import PAGES

VALUES = [each for each in EXERCISES.values() if isinstance(each, ValueExercise)]


def agrees(given: tuple[float | str, ...], parts: list[Part]) -> bool:
    """What page/lesson/answers.js does."""
    return all(mine == part if isinstance(part, str) else part[0] <= float(mine) <= part[1]
               for mine, part in zip(given, parts, strict=True))


@pytest.mark.parametrize("exercise", VALUES, ids=lambda each: each.number)
def test_the_page_and_the_command_agree(exercise: ValueExercise) -> None:
    right = exercise.answer()
    tried = [right, *(mistake.answer() for mistake in exercise.mistakes)]
    tried += [tuple(each if isinstance(each, str) else each * factor for each in right)
              for factor in (0.99, 0.996, 0.9999, 1.0001, 1.004, 1.01)]
    for given in tried:
        if len(given) == len(right):
            assert agrees(given, ranges(right)) == bool(exercise.check(list(given))), given


def test_nobody_reads_an_answer_by_accident() -> None:
    for page in PAGES:
        element = answers_element(page.number)
        stored = stored_answers(page.number)
        assert bool(element) == bool(stored)
        if element:
            packed = re.sub("<[^>]*>", "", element)
            assert re.fullmatch(r"[\w+/=]+", packed)
            assert json.loads(base64.b64decode(packed)) == json.loads(json.dumps(stored))
