"""Answers of exercises for a page: computed when the page is made, and written so that nobody reads them by
accident."""

from __future__ import annotations

import base64
import json
from typing import Any

from tinylm.learn.exercise import ValueExercise, ranges


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
