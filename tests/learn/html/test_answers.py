"""Answers that lie in a page: the same verdicts as those of the command."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from tests.page.node import make_folder, run
from tinylm.errors import TinyLMError
from tinylm.learn.exercise import ValueExercise
from tinylm.learn.exercises import EXERCISES
from tinylm.learn.html.answers import answers_element, stored_answers
from tinylm.learn.pages import PAGES

VALUES = [each for each in EXERCISES.values() if isinstance(each, ValueExercise)]


def tried(exercise: ValueExercise) -> list[str]:
    """Answers as they are typed: the right one, known wrong ones, numbers near the right ones, and fewer parts."""
    right = exercise.answer()
    answers = [right, *(mistake.answer() for mistake in exercise.mistakes), right[1:]]
    answers += [tuple(each if isinstance(each, str) else each * factor for each in right)
                for factor in (0.99, 0.996, 0.9999, 1.0001, 1.004, 1.01)]
    return [f" ({', '.join(map(str, answer))})" for answer in answers]


def verdict(exercise: ValueExercise, typed: str) -> str:
    """What the command says, in the page's words."""
    try:
        said = exercise.check(typed)
    except TinyLMError:
        return f"An answer has {len(exercise.answer())} parts here: {exercise.form}"
    hints = [mistake.hint for mistake in exercise.mistakes if mistake.hint in said.message]
    return "Right." if said else " ".join(["Not yet.", *hints])


def test_the_page_and_the_command_agree(tmp_path: Path) -> None:
    asked = [(exercise, typed) for exercise in VALUES for typed in tried(exercise)]
    stored = {each["number"]: each for page in PAGES for each in stored_answers(page.number)}
    said = run(make_folder(tmp_path / "node"), "answers.mjs",
               [{"exercise": stored[exercise.number], "typed": typed} for exercise, typed in asked])
    for (exercise, typed), judged in zip(asked, said, strict=True):
        assert judged == verdict(exercise, typed), (exercise.number, typed)


def test_nobody_reads_an_answer_by_accident() -> None:
    for page in PAGES:
        element = answers_element(page.number)
        stored = stored_answers(page.number)
        assert bool(element) == bool(stored)
        if element:
            packed = re.sub("<[^>]*>", "", element)
            assert re.fullmatch(r"[\w+/=]+", packed)
            assert json.loads(base64.b64decode(packed)) == json.loads(json.dumps(stored))
