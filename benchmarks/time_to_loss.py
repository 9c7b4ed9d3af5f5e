"""What the two benchmarks of seconds to a loss share: tinylm's side, and the peer's command line."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Done, Run, fresh, process

HORIZONS = ("--minutes", "--steps", "--epochs")
"""Options of tinylm of which only one can be given."""


def add_text(parser: argparse.ArgumentParser, options: Sequence[str]) -> None:
    """The text, and word of what is passed on after a lone --."""
    parser.add_argument("text", type=Path, help="tiny Shakespeare; its last tenth is held out on both sides")
    parser.set_defaults(passed_on=[])
    parser.epilog = ("What follows a lone -- goes to `tinylm train`, after these and therefore stronger: "
                     f"{shlex.join(options)}")


def with_passed_on(options: Sequence[str], horizon: Sequence[str], passed_on: Sequence[str]) -> list[str]:
    """tinylm's options; the horizon is left out where another one is passed on."""
    names = {option.partition("=")[0] for option in passed_on}
    return [*options, *([] if names & set(HORIZONS) else horizon), *passed_on]


def train_tinylm(text: Path, options: Sequence[str], target: float, seed: int, *, compiled: bool = False) -> Run:
    """Trains by the command line alone. The seconds are those of that whole process; whether the loss was reached is
    then asked of the folder that it left, by `tinylm evaluate`. A run that missed it has no value."""
    with fresh(compiled=compiled) as (folder, environment):
        run = folder / "run"
        done = process("tinylm", "train", text.resolve(), "--seed", seed, *options, "--out", run, "--json",
                       environment=environment)
        loss = process("tinylm", "evaluate", run, "--json", environment=environment).json()["loss"]
    told = done.json()
    reached = loss <= target
    return {"value": round(done.seconds, 3) if reached else None, "seconds": round(done.seconds, 3), "loss": loss,
            "reached": reached, "steps": told["step"], "tokens": told["tokens_seen"], "reason": told["reason"],
            "parameters": told["parameters"], "options": list(options), "seed": seed}


def run_peer(text: Path, options: Sequence[str], **more: object) -> Done:
    """The plain GPT. Names in `more` become options, such as learning_rate=1e-3."""
    named = [part for name, value in more.items() for part in (f"--{name.replace('_', '-')}", value)]
    with fresh() as (_, environment):
        return process("benchmarks.peers.gpt", text.resolve(), *options, *named, environment=environment)
