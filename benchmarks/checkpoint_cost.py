"""What share of a run's time goes into saving, at the default interval.

    python -m benchmarks checkpoint-cost [SIZE ...] [--minutes M]

Trains each size on the built-in python-reference and adds up the seconds inside `Recorder.save`, flushing included.
Prints one JSON object last.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import tinylm
from tinylm.runs.recorder import Recorder


def measure(size: str, minutes: float) -> dict[str, float]:
    """Seconds of the whole run, seconds in saves, and how many there were."""
    spent: list[float] = []
    save = Recorder.save

    def timed(journal: Recorder, training: object) -> None:
        began = time.perf_counter()
        save(journal, training)  # type: ignore[arg-type]
        spent.append(time.perf_counter() - began)

    Recorder.save = timed  # type: ignore[method-assign,assignment]
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            tinylm.train("python-reference", size=size, minutes=minutes, out=Path(folder, "run"), quiet=True)
    finally:
        Recorder.save = save  # type: ignore[method-assign]
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "saving": sum(spent), "saves": len(spent), "share": sum(spent) / seconds}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sizes", nargs="*", default=["0.8M", "5M"])
    parser.add_argument("--minutes", type=float, default=1.0)


def run(arguments: argparse.Namespace) -> int:
    result = {}
    for size in arguments.sizes:
        result[size] = measure(size, arguments.minutes)
        print(size, {name: round(value, 4) for name, value in result[size].items()})
    print(json.dumps(result))
    return 0
