"""tinylm learn: the pages of the lesson, and its exercises: `learn check 2.3 ANSWER`, `learn hint 2.3`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from textwrap import wrap
from typing import TYPE_CHECKING

from tinylm.cli.output import add_json, print_json
from tinylm.errors import TinyLMError, command, did_you_mean

if TYPE_CHECKING:
    from tinylm.learn.exercise import Exercise

EXAMPLE = "tinylm learn check 2.2 0.2133"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", metavar="check|hint", nargs="?", help="check an answer, or give the next hint "
                        "(default: show the pages and what is solved)")
    parser.add_argument("exercise", metavar="EXERCISE", nargs="?", help="its number, such as 2.3")
    parser.add_argument("answer", metavar="ANSWER", nargs="?", help="a number, several with commas between, or the "
                        "folder of a model (default: show the question)")
    parser.add_argument("--solution", action="store_true", help="with hint: give the answer itself")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    action = arguments.action or "pages"
    if action not in _ACTIONS:
        raise TinyLMError(f"learn does not know {action!r}", remedy=did_you_mean(action, ("check", "hint")))
    if arguments.solution and action != "hint":
        raise TinyLMError("is given by hint", where="--solution", remedy=command("learn", "hint", "2.3", "--solution"))
    if action != "pages" and arguments.exercise is None:
        raise TinyLMError("which exercise?", where="EXERCISE", remedy=f"For example: {command('learn', action, '2.3')}")
    return _ACTIONS[action](arguments)


def _check(arguments: argparse.Namespace) -> int:
    from tinylm.learn.checking import check, find_exercise
    from tinylm.system.untrusted import escape_control_codes

    exercise = find_exercise(arguments.exercise)
    if arguments.answer is None:
        return _ask(exercise, as_json=arguments.json)
    verdict = check(arguments.exercise, arguments.answer)
    if arguments.json:
        print_json({"exercise": exercise.number, "right": verdict.right, "message": verdict.message})
    else:
        print(escape_control_codes(verdict))
    return 0


def _ask(exercise: Exercise, *, as_json: bool) -> int:
    from tinylm.reports.explain_lines import terminal_width

    if as_json:
        print_json({"exercise": exercise.number, "question": exercise.question, "command": exercise.command()})
    else:
        print("\n".join([*wrap(exercise.question, terminal_width()), f"  {exercise.command()}"]))
    return 0


def _hint(arguments: argparse.Namespace) -> int:
    from tinylm.learn.checking import hint

    text = hint(arguments.exercise, solution=arguments.solution)
    if arguments.json:
        print_json({"exercise": arguments.exercise, "hint": text})
    else:
        print(text)
    return 0


def _pages(arguments: argparse.Namespace) -> int:
    from tinylm.learn.exercises import EXERCISES
    from tinylm.learn.pages import PAGES
    from tinylm.learn.progress import Progress, progress_file
    from tinylm.reports.table import columns

    solved = Progress.read().solved
    if arguments.json:
        print_json({"pages": [{**page._asdict(), "path": page.path} for page in PAGES], "exercises": list(EXERCISES),
                    "solved": list(solved), "progress": str(progress_file() or "")})
        return 0
    print("The lesson: the whole transformer, page by page, on your own model.\n")
    for line in columns([(page.path, page.question) for page in PAGES]):
        print(f"  {line}")
    print(f"\nExercises solved: {len(set(solved) & set(EXERCISES))} of {len(EXERCISES)}.")
    if todo := [number for number in EXERCISES if number not in solved]:
        print(f"The next one:  {command('learn', 'check', todo[0])}")
    if solved:
        print(f"What is solved stands in {progress_file()}, which may be deleted.")
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {"pages": _pages, "check": _check, "hint": _hint}
