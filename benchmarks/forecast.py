"""What `tinylm plan` foretells against what `tinylm train` then takes: time and peak memory of the whole process, for
eight configurations, each planned and trained in turn. One JSON object last.

    python -m benchmarks forecast TEXT [--seconds 30] [NAME ...] [-- options of tinylm train]

Steps are chosen so that each run takes about `--seconds` on the machine as it is at the moment.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import peak_of, process

CONFIGURATIONS: dict[str, list[str]] = {
    "0.1M characters": ["--size", "0.1M", "--tokenizer", "char"],
    "0.3M words, small batch": ["--size", "0.3M", "--tokenizer", "word", "--vocab-size", "4000",
                                "--set", "train.batch_size=8"],
    "0.8M BPE": ["--size", "0.8M", "--tokenizer", "bpe", "--vocab-size", "2048"],
    "0.8M dropout, long context": ["--size", "0.8M", "--tokenizer", "char", "--set", "model.dropout=0.1",
                                   "--set", "model.context_length=256"],
    "0.8M GPT-2, accumulation": ["--size", "0.8M", "--preset", "gpt2", "--tokenizer", "bpe", "--vocab-size", "1024",
                                 "--set", "train.gradient_accumulation=2", "--set", "train.batch_size=16"],
    "2M Llama, AdamW": ["--size", "2M", "--preset", "llama", "--tokenizer", "bpe", "--vocab-size", "2048",
                        "--set", "train.optimizer=adamw"],
    "5M Qwen3": ["--size", "5M", "--preset", "qwen3", "--tokenizer", "bpe", "--vocab-size", "2048"],
    "10M small batch": ["--size", "10M", "--tokenizer", "bpe", "--vocab-size", "2048", "--set", "train.batch_size=4",
                        "--set", "train.gradient_accumulation=2"],
}


def measure(text: str, options: list[str], seconds: float) -> dict[str, float]:
    short = _plan(text, [*options, "--steps", "10"])
    long = _plan(text, [*options, "--steps", "20"])
    step = max(1e-3, (long["seconds"] - short["seconds"]) / 10)
    steps = max(10, round((seconds - short["seconds"]) / step) + 10)
    planned = _plan(text, [*options, "--steps", str(steps)])
    with tempfile.TemporaryDirectory() as folder:
        took, peak = peak_of("tinylm", "train", text, *options, "--steps", steps, "--out", f"{folder}/run")
    return {"steps": steps, "planned_seconds": planned["seconds"], "seconds": round(took, 1),
            "seconds_ratio": round(planned["seconds"] / took, 3),
            "planned_megabytes": round(planned["peak_memory_bytes"] / 1e6), "megabytes": round(peak / 1e6),
            "memory_ratio": round(planned["peak_memory_bytes"] / peak, 3)}


def _plan(text: str, options: list[str]) -> dict[str, float]:
    forecast: dict[str, float] = process("tinylm", "plan", text, *options, "--json").json()["forecast"]
    return forecast


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", type=Path)
    parser.add_argument("names", nargs="*", help="some of the configurations; none: all")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.set_defaults(passed_on=[])


def run(arguments: argparse.Namespace) -> int:
    results = {}
    for name, options in CONFIGURATIONS.items():
        if not arguments.names or name in arguments.names:
            results[name] = measure(str(arguments.text.resolve()), [*options, *arguments.passed_on], arguments.seconds)
            print(name, results[name], file=sys.stderr, flush=True)

    def worst(ratio: str) -> float:
        return round(max(math.exp(abs(math.log(result[ratio]))) for result in results.values()), 3)

    print(json.dumps({"worst_seconds": worst("seconds_ratio"), "worst_memory": worst("memory_ratio"),
                      "configurations": results}))
    return 0
