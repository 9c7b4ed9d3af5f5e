"""tinylm machine: what this machine has and can."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tinylm.cli.output import add_json, print_json, print_note
from tinylm.system.standard_streams import tolerant_console

if TYPE_CHECKING:
    from rich.console import Console

    from tinylm.hardware.choice import Choice
    from tinylm.hardware.facts import Facts
    from tinylm.hardware.paths import PathResult

EXAMPLE = "tinylm machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm import __version__
    from tinylm.hardware.choice import training_choice, writing_choice
    from tinylm.hardware.facts import gather_facts
    from tinylm.model.device import choose_device
    from tinylm.reports.hardware_lines import facts_lines, hints, result_lines
    from tinylm.reports.terminal import print_lines

    facts, console = gather_facts(__version__), tolerant_console(stderr=arguments.json)
    if not arguments.json:
        print_lines(console, [*facts_lines(facts), ""])
    results = _tested(console)
    choices = {"training": training_choice(results, choose_device("auto")), "writing": writing_choice(results)}
    advice = list(hints(facts, results))
    if arguments.json:
        print_json(_as_json(facts, results, choices, advice))
        return 0
    print_lines(console, [*result_lines(results), "", *(choice.reason for choice in choices.values()),
                          *(f"Note: {each}" for each in advice)])
    return 0


def _tested(console: Console) -> list[PathResult]:
    """The results of the self-test, which a terminal shows the progress of."""
    from tinylm.engine.forward import forward
    from tinylm.hardware.self_test import check_paths
    from tinylm.jit.cache import announcement
    from tinylm.runs import precompile
    from tinylm.training.cpu.attention import attend

    for compiled, what in ((attend, "training for this processor"), (forward, "the engine for this processor")):
        for line in announcement(compiled, what):
            print_note(line)
    with console.status("compiling"):
        precompile.start()
        precompile.finish()
    with console.status("testing") as status:
        return check_paths(log=lambda name: status.update(f"testing {name}, against PyTorch"))


def _as_json(facts: Facts, results: list[PathResult], choices: dict[str, Choice], advice: list[str]) -> dict[str, Any]:
    """The object of --json: facts, the results of all paths, the paths taken, hints. A number that there is not is
    null."""
    from dataclasses import asdict
    from math import isfinite

    def finite(number: float) -> float | None:
        return number if isfinite(number) else None

    paths = [{"name": each.name, "right": each.verdict.is_right, "error": finite(each.verdict.error),
              "limit": each.verdict.limit, "where": each.verdict.where, "speed": each.speed,
              "reference_speed": each.reference_speed, "unit": each.unit} for each in results]
    return {**asdict(facts), "paths": paths, **{name: asdict(choice) for name, choice in choices.items()},
            "hints": advice}
