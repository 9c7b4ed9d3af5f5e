"""tinylm learn: the lesson, as pages for the browser, and its exercises: `learn check 2.3 ANSWER`, `learn hint 2.3`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from textwrap import wrap
from typing import TYPE_CHECKING

from tinylm.cli.output import add_json, open_browser, print_json, print_page
from tinylm.errors import TinyLMError, command, did_you_mean, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from tinylm.learn.exercise import Exercise

EXAMPLE = 'tinylm learn runs/notebook "hello , how are"'
OUT = "lesson"
"""The folder of the pages, where no other is chosen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="RUN|check|hint", nargs="?", help="a model folder, of which the pictures are "
                        "made; or check an answer, or give the next hint (default: the lesson of the built-in texts)")
    parser.add_argument("exercise", metavar="TEXT|EXERCISE", nargs="?", help="a sentence for the model; or the number "
                        "of an exercise, such as 2.3")
    parser.add_argument("answer", metavar="ANSWER", nargs="?", help="a number, several with commas between, or the "
                        "folder of a model (default: show the question)")
    parser.add_argument("--solution", action="store_true", help="with hint: give the answer itself")
    parser.add_argument("--out", metavar="FOLDER", default=OUT, help="the folder of the pages; an earlier lesson there "
                        f"is replaced (default: {OUT})")
    parser.add_argument("--no-browser", action="store_true", help="write the pages, and open no browser")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    action = _ACTIONS.get(arguments.what or "", _pages)
    if arguments.solution and action is not _hint:
        raise TinyLMError("is given by hint", where="--solution", remedy=command("learn", "hint", "2.3", "--solution"))
    if action is not _pages and arguments.exercise is None:
        raise TinyLMError("which exercise?", where="EXERCISE",
                          remedy=f"For example: {command('learn', arguments.what, '2.3')}")
    if arguments.answer is not None and action is not _check:
        raise TinyLMError("is one word too many", where=repr(arguments.answer),
                          remedy=f"A sentence stands in quotes: {EXAMPLE}")
    return action(arguments)


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
    from tinylm.cli.prompts import typed
    from tinylm.learn.html.site import write_lesson

    _check_is_model(arguments.what)
    if not arguments.json:
        print("Two small models are trained, and the pictures of the pages are drawn; that takes some "
              "seconds.", flush=True)
    page = write_lesson(arguments.out, arguments.what, typed(arguments.exercise or ""))
    _print_progress(page, as_json=arguments.json)
    if not arguments.no_browser:
        open_browser(page.as_uri())
    return 0


def _check_is_model(given: str | None) -> None:
    """Raises TinyLMError for a word that is neither a model folder nor anything else that learn knows."""
    from tinylm.model_folder import model_path, read_config

    try:
        if given is not None:
            read_config(model_path(given))
    except TinyLMError:
        if nearest(str(given), _ACTIONS):
            raise TinyLMError(f"learn does not know {given!r}, and there is no such model",
                              remedy=did_you_mean(str(given), _ACTIONS)) from None
        raise


def _print_progress(page: Path, *, as_json: bool) -> None:
    """Prints where the pages are, and what is solved."""
    from tinylm.learn.exercises import EXERCISES
    from tinylm.learn.pages import PAGES
    from tinylm.learn.progress import Progress, progress_file

    solved = Progress.read().solved
    if as_json:
        print_json({"page": str(page), "pages": [{**each._asdict(), "path": each.path} for each in PAGES],
                    "exercises": list(EXERCISES), "solved": list(solved), "progress": str(progress_file() or "")})
        return
    print_page(page, as_json=False)
    print(f"Exercises solved: {len(set(solved) & set(EXERCISES))} of {len(EXERCISES)}.")
    if todo := [number for number in EXERCISES if number not in solved]:
        print(f"The next one:  {command('learn', 'check', todo[0])}")
    if solved:
        print(f"What is solved stands in {progress_file()}, which may be deleted.")


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {"check": _check, "hint": _hint}
