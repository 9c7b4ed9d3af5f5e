"""Exercises of the pages, in order: three a page."""

from __future__ import annotations

from tinylm.learn.exercise import Exercise
from tinylm.learn.exercises import attention, counting, further, inside, layers, learning, tokens, writing

EXERCISES: dict[str, Exercise] = {
    exercise.number: exercise
    for module in (tokens, counting, learning, attention, layers, writing, inside, further)
    for exercise in module.EXERCISES
}
"""By number, such as "2.3"."""
