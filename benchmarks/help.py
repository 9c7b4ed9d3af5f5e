"""Milliseconds of `tinylm --help`, the whole process, beside the help of a command that comes with Python and imports
little: below that no command in Python comes.
"""

from __future__ import annotations

import argparse

from benchmarks.harness import Run, add_pairs, in_pairs, outcome, process, tell

MOST = 150
"""Milliseconds that may pass until a person has the help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser, default=9)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 1 where it takes longer than `MOST`."""
    pairs = in_pairs(arguments.pairs, lambda _: _help("json.tool"), lambda _: _help("tinylm"))
    result = outcome("help", pairs, unit="ms", peer="python -m json.tool --help", most=MOST)
    return tell(result) or int(result["value"] > MOST)


def _help(module: str) -> Run:
    return {"value": round(1000 * process(module, "--help").seconds, 1)}
