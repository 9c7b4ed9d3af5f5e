"""Checks of answers, and hints one at a time: the door of `tinylm learn check` and of `tinylm.learn`."""

from __future__ import annotations

from tinylm.errors import TinyLMError, command, did_you_mean
from tinylm.learn.exercise import Exercise, Verdict
from tinylm.learn.progress import Progress


def check(exercise: str, answer: object) -> Verdict:
    """Checks an answer, and remembers a right one.

    Args:
        exercise: the number of an exercise, such as "2.3", or its name, such as "attention".
        answer: a number; several as a list or as text with commas; a function; or a model, by its folder.

    Raises:
        TinyLMError: there is no such exercise, or the answer has not the form of one.

    >>> import math
    >>> verdict = check("2.3", 8 * math.log(2) / 32)
    >>> bool(verdict)
    False
    >>> print(verdict)
    Not yet. These are the 32 places of a padded batch: 6 of them are <pad>, and are no tokens of the text.
    """
    found = find_exercise(exercise)
    verdict = found.check(answer)
    if verdict:
        Progress.read().with_solved(found.number).write()
    return verdict


def hint(exercise: str, *, solution: bool = False) -> str:
    """Gives the next hint on an exercise; after the last one, the last once more. All of them, where no file can be
    written that remembers how many were given.

    Args:
        solution: give the answer instead.

    Raises:
        TinyLMError: there is no such exercise.

    >>> print(hint("5.1", solution=True))
    0.716, 0.86
    """
    found = find_exercise(exercise)
    if solution:
        return found.solution()
    progress = Progress.read()
    count = len(found.hints)
    first = max(0, min(progress.hints.get(found.number, 0), count - 1))
    end = first + 1 if progress.with_hints(found.number, first + 1).write() else count
    lines = [f"Hint {number + 1} of {count}: {found.hints[number]}" for number in range(first, end)]
    if end == count:
        lines.append(f"The answer: {command('learn', 'hint', found.number, '--solution')}")
    return "\n".join(lines)


def find_exercise(name: str) -> Exercise:
    """The exercise of a number or a name. Raises: TinyLMError: there is none, and the nearest is named."""
    from tinylm.learn.code_exercise import CodeExercise
    from tinylm.learn.exercises import EXERCISES

    names = {each.name: each for each in EXERCISES.values() if isinstance(each, CodeExercise)}
    found = EXERCISES.get(str(name).strip()) or names.get(str(name).strip())
    if found is None:
        raise TinyLMError(f"there is no exercise {name!r}", remedy=did_you_mean(str(name), [*EXERCISES, *names]))
    return found
