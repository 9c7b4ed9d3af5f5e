"""Bits a byte on the last tenth of a text after some minutes, from process start: `tinylm train TEXT --from none
--minutes M` and nothing more, against the Trainer of transformers with its defaults and a GPT-2 of the depth, width,
context and vocabulary that tinylm chose. Both are judged on the same characters, in windows of that context; tinylm's
by `tinylm evaluate`. The ratio is the peer's bits by tinylm's. The peer needs `pip install -c constraints.txt -e
".[bench]"`.
"""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path

from benchmarks.harness import Run, add_pairs, fresh, in_pairs, outcome, process, tell

MINUTES = 5.0
NEEDED = ("transformers", "accelerate")
SHAPE = {"layers": "n_layers", "heads": "n_heads", "width": "d_model", "context": "context_length",
         "vocab-size": "vocab_size"}
"""The peer's options, and where their values stand in the config of tinylm's model."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", type=Path)
    add_pairs(parser)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for each side (default: %(default)g)")
    parser.add_argument("--learning-rate", type=float, help="of the peer (default: that of its library)")


def run(arguments: argparse.Namespace) -> int:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise SystemExit(f'The peer needs {" and ".join(missing)}: pip install -c constraints.txt -e ".[bench]"')
    text, minutes = arguments.text.resolve(), arguments.minutes
    chosen: list[str] = []

    def ours(_: int) -> Run:
        measured, chosen[:] = train_tinylm(text, minutes)
        return measured

    def peer(seed: int) -> Run:
        rate = [] if arguments.learning_rate is None else ["--learning-rate", str(arguments.learning_rate)]
        return train_peer(text, [*chosen, *rate, "--minutes", str(minutes), "--seed", str(seed)])

    pairs = in_pairs(arguments.pairs, peer, ours, ours_first=True)
    return tell(outcome("book", pairs, unit="bits/byte", peer="a GPT-2 of that size in the Trainer of transformers",
                        minutes=minutes, text=text.name))


def train_tinylm(text: Path, minutes: float) -> tuple[Run, list[str]]:
    """What was measured, and the peer's options for a model of the same shape."""
    with fresh() as (folder, environment):
        run = folder / "run"
        done = process("tinylm", "train", text, "--from", "none", "--minutes", minutes, "--out", run, "--json",
                       environment=environment)
        report = process("tinylm", "evaluate", run, "--json", environment=environment).json()
        model = json.loads((run / "config.json").read_text(encoding="utf-8"))["model"]
    told = done.json()
    measured = {"value": round(report["bits_per_byte"], 4), "bytes": report["bytes"], "seconds": round(done.seconds, 3),
                "steps": told["step"], "parameters": told["parameters"], "vocab_size": model["vocab_size"],
                "ngram": report["baselines"].get("ngram")}
    return measured, [part for option, name in SHAPE.items() for part in (f"--{option}", str(model[name]))]


def train_peer(text: Path, options: list[str]) -> Run:
    with fresh() as (_, environment):
        done = process("benchmarks.peers.trainer", text, *options, environment=environment)
    told = done.json()
    return {"value": round(told.pop("bits_per_byte"), 4), "seconds": round(done.seconds, 3), **told}
