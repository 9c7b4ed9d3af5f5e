"""How the optimiser's defaults were chosen: the loss after equally many steps, with one setting changed at a time,
for several seeds each. A setting and the defaults are a pair where their seed is the same: they begin with the same
weights and read the same rows.

The text's own last tenth is put aside, so that nothing here is chosen on what other benchmarks judge by; the tenth
before that is held out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from benchmarks.harness import at_least_one, fresh, process

SETTINGS: dict[str, dict[str, object]] = {
    "the defaults": {},
    "Muon at 0.01": {"muon_learning_rate": 0.01},
    "Muon at 0.03": {"muon_learning_rate": 0.03},
    "beside it AdamW at 0.005": {"learning_rate": 0.005},
    "beside it AdamW at 0.02": {"learning_rate": 0.02},
    "beta2 0.95": {"beta2": 0.95},
    "beta2 0.999": {"beta2": 0.999},
    "cosine decay": {"decay": "cosine"},
    "no decay": {"decay": "constant"},
    "a quarter of the warm-up": {"warmup_steps": 5},
    "AdamW alone at 0.001": {"optimizer": "adamw", "learning_rate": 0.001},
    "AdamW alone at 0.002": {"optimizer": "adamw", "learning_rate": 0.002},
    "AdamW alone at 0.004": {"optimizer": "adamw", "learning_rate": 0.004},
    "AdamW alone at 0.008": {"optimizer": "adamw", "learning_rate": 0.008},
}
ASIDE = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", type=Path)
    parser.add_argument("settings", nargs="*", help=f"beside the defaults; none: all ({', '.join(SETTINGS)})")
    parser.add_argument("--seeds", type=at_least_one, default=3, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--steps", type=at_least_one, default=200, metavar="N", help="(default: %(default)s)")
    parser.set_defaults(passed_on=[])
    parser.epilog = "What follows a lone -- goes to `tinylm train`, such as --size or --tokenizer."


def run(arguments: argparse.Namespace) -> int:
    if unknown := set(arguments.settings) - set(SETTINGS):
        raise SystemExit(f"There is no setting {', '.join(map(repr, sorted(unknown)))}; there are: "
                         f"{', '.join(SETTINGS)}")
    chosen = [name for name in SETTINGS if not SETTINGS[name] or not arguments.settings or name in arguments.settings]
    losses: dict[str, list[float]] = {name: [] for name in chosen}
    with fresh(compiled=True) as (folder, environment):
        text = arguments.text.read_text("utf-8")
        part = folder / "text.txt"
        part.write_text(text[:int(len(text) * (1 - ASIDE))], "utf-8")
        for seed in range(arguments.seeds):
            for name in chosen:
                options = [f"--set=train.{key}={value}" for key, value in SETTINGS[name].items()]
                told = process("tinylm", "train", part, "--steps", arguments.steps, "--seed", seed, "--json", "--force",
                               *arguments.passed_on, *options, "--set=train.evaluate_every=100000", "--out",
                               folder / "run", environment=environment).json()
                losses[name].append(told["best_loss"])
                print(f"seed {seed}  {name}: {told['best_loss']:.4f}", file=sys.stderr, flush=True)
    print(f"{'':<28}{'loss, by seed':<{9 * arguments.seeds}}  against the defaults")
    first = losses[chosen[0]]
    for name, found in losses.items():
        apart = [loss - base for loss, base in zip(found, first, strict=True)]
        print(f"{name:<28}" + "".join(f"{loss:<9.4f}" for loss in found)
              + f"  {statistics.mean(apart):+.4f} ({min(apart):+.4f} to {max(apart):+.4f})")
    print(json.dumps({"benchmark": "optimizers", "text": arguments.text.name, "steps": arguments.steps,
                      "unit": "nats a token", "value": round(statistics.mean(first), 4), "losses": losses}))
    return 0
