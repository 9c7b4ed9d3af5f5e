"""What the benchmarks share: timing a whole process, running two sides in turn, and telling the outcome.

A side is a function from a pair's number to a `Run`: what one process measured, the benchmark's measure in "value".
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
"""Where processes run, so that they find this package."""
CACHES = ("TINYLM_CACHE", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
"""What a process may have kept from an earlier one: encoded texts, ..."""
CODE = "NUMBA_CACHE_DIR"
"""... and tinylm's own compiled code."""

Run = dict[str, Any]
Side = Callable[[int], Run]


class Pair(NamedTuple):
    """Both sides, measured one right after the other, so that a machine that drifts drifts for both."""

    peer: Run
    ours: Run


class Done(NamedTuple):
    """A process that has ended: wall clock from its start to its end, and what it printed."""

    seconds: float
    output: str

    def json(self) -> Run:
        """Its last line."""
        found: Run = json.loads(self.output.rstrip().rpartition("\n")[2])
        return found


def environment_of(root: Path) -> dict[str, str]:
    """The environment in which a process imports tinylm from this checkout, wherever it is installed from."""
    return {**os.environ, "PYTHONPATH": str(root / "src")}


def process(module: str, *arguments: object, environment: Mapping[str, str] | None = None, root: Path = ROOT) -> Done:
    """Runs `python -m module arguments` to its end. What it says beside its output is shown if it fails.

    Args:
        root: the checkout whose tinylm and benchmarks are run.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=root, env={**environment_of(root), **(environment or {})}, capture_output=True,
                          text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])}\nended with {done.returncode}:\n{done.stderr[-4000:]}")
    return Done(seconds, done.stdout)


def seconds_of(work: Callable[[], object]) -> float:
    """Wall clock of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Measured(NamedTuple):
    """Wall clock of a process from its start to its end, and the most memory that it held."""

    seconds: float
    peak_bytes: int


def peak_of(module: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Measured:
    """Runs `python -m module arguments` to its end, silently. Not on Windows.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    began = time.perf_counter()
    started = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise SystemExit(f"{' '.join(command[1:])}\nended with {started.returncode}")
    return Measured(time.perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


@contextmanager
def fresh(*, compiled: bool = False) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder to work in, and an environment whose caches are empty: what has to be compiled is, and that counts.

    Args:
        compiled: tinylm's code stays compiled, as it does after the first run on a machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = CACHES if compiled else (*CACHES, CODE)
        yield Path(folder), {name: str(Path(folder, name.lower())) for name in names}


def add_pairs(parser: argparse.ArgumentParser, default: int = 3) -> None:
    parser.add_argument("--pairs", type=at_least_one, default=default, metavar="N",
                        help="how often both sides are run, in turn (default: %(default)s)")


def add_precision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto",
                        help="of tinylm's matrix products (default: %(default)s)")


def add_compiled(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--compiled", action="store_true",
                        help="leave tinylm's code compiled, as it is after the first run on a machine (default: "
                        "compile it in every run)")


def at_least_one(value: str) -> int:
    if int(value) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(value)


def in_pairs(n: int, peer: Side, ours: Side, *, ours_first: bool = False) -> list[Pair]:
    """Both sides n times, telling each run as it ends. Who begins changes from pair to pair, for the second finds the
    machine warm.

    Args:
        ours_first: ours begins in every pair, because the peer needs what came of it.
    """
    pairs = []
    for number in range(n):
        order = [("peer", peer), ("tinylm", ours)]
        runs = {}
        for name, side in order[::-1] if ours_first or number % 2 else order:
            runs[name] = side(number)
            print(f"pair {number + 1} {name}: {json.dumps(runs[name])}", file=sys.stderr, flush=True)
        pairs.append(Pair(runs["peer"], runs["tinylm"]))
    return pairs


def outcome(benchmark: str, pairs: Sequence[Pair], *, unit: str, more_is_better: bool = False, peer: str,
            **more: object) -> Run:
    """The benchmark's JSON object: medians of both sides, and the median of the pairs' ratios, which are above 1 where
    tinylm is the better one. A run without a value, since it missed its target, leaves `value` and `ratio` null.

    Args:
        peer: what tinylm is compared with, for people.
    """
    values = [pair.ours["value"] for pair in pairs]
    reached = None not in values
    ratios = [_ratio(pair, more_is_better) for pair in pairs] if reached else []
    return {"benchmark": benchmark, "value": _median(values) if reached else None,
            "peer": _median([pair.peer["value"] for pair in pairs]), "ratio": _median(ratios) if reached else None,
            "unit": unit, "ratios": ratios, "against": peer, **more,
            "runs": [{"peer": pair.peer, "tinylm": pair.ours} for pair in pairs]}


def _ratio(pair: Pair, more_is_better: bool) -> float:
    quotient = pair.peer["value"] / pair.ours["value"]
    return round(1 / quotient if more_is_better else quotient, 4)


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 4)


def tell(result: Run) -> int:
    """Prints the table and, last, the JSON object. Returns the exit code."""
    print(table(result))
    print(json.dumps(result))
    return int(result["value"] is None)


def table(result: Run) -> str:
    """A line a pair, and one of the medians."""
    ratios = result["ratios"] or [None] * len(result["runs"])
    rows = [(str(number), run["peer"]["value"], run["tinylm"]["value"], ratio)
            for number, (run, ratio) in enumerate(zip(result["runs"], ratios, strict=True), 1)]
    lines = [f"{result['benchmark']}, in {result['unit']}; the peer is {result['against']}",
             f"{'pair':<8}{'peer':>14}{'tinylm':>14}{'ratio':>10}"]
    for name, *cells in [*rows, ("median", result["peer"], result["value"], result["ratio"])]:
        peer, ours, ratio = (_cell(cell) for cell in cells)
        lines.append(f"{name:<8}{peer:>14}{ours:>14}{ratio:>10}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return "missed"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
