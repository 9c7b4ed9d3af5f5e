"""Answers of exercises for a page: computed when the page is made, and written so that nobody reads them by
accident."""

from __future__ import annotations

import base64
import json
from typing import Any

from tinylm.learn.exercise import OF_LARGEST, RELATIVE, Answer, ValueExercise

Part = str | tuple[float, float]
"""A part of an answer: a word, or the least and the largest number that count."""


def answers_element(page: int) -> str:
    """An element with the answers to the exercises of a page that are numbers or words, in base64; empty for a page
    without any."""
    found = stored_answers(page)
    if not found:
        return ""
    packed = base64.b64encode(json.dumps(found, ensure_ascii=False).encode()).decode()
    return f'<script type="application/octet-stream" id="data.answers">{packed}</script>'


def stored_answers(page: int) -> list[dict[str, Any]]:
    """The exercises of a page as its script takes them (page/lesson/answers.js).

    >>> [exercise["number"] for exercise in stored_answers(2)]
    ['2.1', '2.2', '2.3']
    """
    from tinylm.learn.exercises import EXERCISES

    return [{"number": each.number, "form": each.form, "command": each.command(), "answer": ranges(each.answer()),
             "mistakes": [{"answer": ranges(mistake.answer()), "hint": mistake.hint} for mistake in each.mistakes]}
            for number, each in EXERCISES.items()
            if number.partition(".")[0] == str(page) and isinstance(each, ValueExercise)]


def ranges(answer: Answer) -> list[Part]:
    """The ranges in which the numbers of an answer count as right (learn/exercise.py); words as they are.

    >>> ranges((0.5, 21.0, "ho"))
    [(0.4874, 0.5126), (21.0, 21.0), 'ho']
    """
    largest = max((abs(value) for value in answer if not isinstance(value, str)), default=0.0)
    found: list[Part] = []
    for value in answer:
        if isinstance(value, str):
            found.append(value)
            continue
        exact = value.is_integer() and abs(value) >= 2
        off = 0.0 if exact else max(RELATIVE * abs(value), OF_LARGEST * largest)
        found.append((value - off, value + off))
    return found
