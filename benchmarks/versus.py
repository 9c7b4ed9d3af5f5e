"""tinylm of this checkout beside tinylm of another one, say of the commit before: what a change costs or gains. Both
have the same interpreter and run in turn; a benchmark's own side of tinylm is asked, not its peer. A first round of
each, with what it compiles, does not count.

    git worktree add ../before HEAD~1
    python -m benchmarks versus ../before writing help
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.first_token import PROMPT, first_character
from benchmarks.harness import ROOT, Run, add_pairs, environment_of, in_pairs, outcome, process, tell

Side = Callable[[Path], Run]
MAKE = "import pathlib, sys; from benchmarks.first_token import make_tinylm; make_tinylm(pathlib.Path(sys.argv[1]))"
"""Each checkout saves the model that it reads: a folder may hold settings that an older tinylm does not know."""


def _at(side: Side, root: Path, _: int) -> Run:
    return side(root)


def _written(root: Path) -> Run:
    return process("benchmarks", "writing", "--only", "tinylm", root=root).json()


def _trained(root: Path) -> Run:
    return process("benchmarks", "throughput", "--only", "tinylm", root=root).json()


def _helped(root: Path) -> Run:
    seconds = statistics.median(process("tinylm", "--help", root=root).seconds for _ in range(9))
    return {"value": round(1000 * seconds, 1)}


def _answered(root: Path) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", MAKE, folder], cwd=root, env=environment_of(root), check=True)
        runs = [first_character("tinylm", "generate", folder, PROMPT, "--max-tokens", 1, root=root)
                for _ in range(5)]
    return min(runs, key=lambda run: run["value"])


MEASURED: dict[str, tuple[Side, str, bool]] = {
    "writing": (_written, "tokens/s", True), "throughput": (_trained, "tokens/s", True),
    "first-token": (_answered, "s", False), "help": (_helped, "ms", False),
}
"""By benchmark: how a checkout is asked, the unit, and whether more is better."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    parser.add_argument("checkout", type=Path, help="the folder of the other one")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURED)} (default: all)")


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 2 for a folder or a name that is none."""
    names, other = arguments.names or list(MEASURED), arguments.checkout.resolve()
    if not (other / "benchmarks").is_dir() or not set(names) <= set(MEASURED):
        print(f"usage: python -m benchmarks versus CHECKOUT [{'] ['.join(MEASURED)}]")
        return 2
    for name in names:
        side, unit, more_is_better = MEASURED[name]
        for root in (other, ROOT):
            side(root)
        pairs = in_pairs(arguments.pairs, partial(_at, side, other), partial(_at, side, ROOT))
        tell(outcome(f"versus {name}", pairs, unit=unit, more_is_better=more_is_better, peer="the other checkout"))
    return 0
