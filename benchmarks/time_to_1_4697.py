"""`tinylm train --until 1.4697` on the characters of tiny Shakespeare, the whole process, against a plain 32-bit GPT
of 10.7M parameters in PyTorch: 6 layers, 6 heads, width 384, context 256, batches of 64, dropout 0.2.

1.4697 is the best loss known for that GPT, after about 2,000 of the 5,000 steps of its schedule. They take a CPU hours,
so the peer is timed for a few steps only: its value is extrapolated (start-up and 2,000 times the median step, judging
left out), and its loss is not measured. The JSON says so. The ratio is the peer's seconds by tinylm's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.harness import Run, add_pairs, at_least_one, in_pairs, outcome, tell
from benchmarks.time_to_loss import add_text, run_peer, train_tinylm, with_passed_on

TARGET = 1.4697
OPTIONS = ["--tokenizer", "char", "--size", "2M", "--until", str(TARGET), "--set", "model.context_length=256"]
"""tinylm's, besides the minutes."""
MINUTES = 30.0
PEER = ["--layers", "6", "--heads", "6", "--width", "384", "--context", "256", "--batch", "64", "--dropout", "0.2",
        "--learning-rate", "1e-3", "--horizon", "5000"]
STEPS_NEEDED, STEPS_TIMED = 2000, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_text(parser, [*OPTIONS, "--minutes", f"{MINUTES:g}"])
    add_pairs(parser, default=1)
    parser.add_argument("--minutes", type=float, default=MINUTES,
                        help="of tinylm's schedule, and the most it may take (default: %(default)g)")
    parser.add_argument("--peer-steps", type=at_least_one, default=STEPS_TIMED, metavar="N",
                        help="of the peer that are timed (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    options = with_passed_on(OPTIONS, ["--minutes", f"{arguments.minutes:g}"], arguments.passed_on)
    pairs = in_pairs(arguments.pairs, lambda seed: time_peer(arguments.text, arguments.peer_steps, seed),
                     lambda seed: train_tinylm(arguments.text, options, TARGET, seed))
    about = (f"The peer was timed for so many steps: {arguments.peer_steps}. Its seconds are its start-up and "
             f"{STEPS_NEEDED:,} times its median step; its loss was not measured.")
    return tell(outcome("time-to-1.4697", pairs, unit="s", peer="a plain GPT of 10.7M, its time extrapolated",
                        target=TARGET, peer_extrapolated=True, about=about))


def time_peer(text: Path, steps: int, seed: int) -> Run:
    done = run_peer(text, [*PEER, "--time-only"], steps=steps, seed=seed)
    told = done.json()
    start_up = done.seconds - told["training_seconds"]
    return {"value": round(start_up + STEPS_NEEDED * told["step_seconds"], 1), "extrapolated": True,
            "seconds": round(done.seconds, 3), "steps": steps, "step_seconds": round(told["step_seconds"], 4),
            "tokens_per_second": round(told["tokens_per_second"]), "parameters": told["parameters"], "seed": seed}
