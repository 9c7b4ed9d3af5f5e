"""Greedy tokens a second beside llama.cpp on an export of the same model in as many bits (32; 16: bfloat16 here and
float16 there; 8), as its server counts them: the quickest of four texts, at its quicker number of threads, with its
usual cache of 16 bits and its own choice of attention. The model is one of random weights, or that of a folder:

    tinylm import SmolLM2-135M-Instruct.Q4_1.gguf models/smol
    python -m benchmarks llama-cpp --model models/smol --tokens 64
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import Run, add_pairs, at_least_one, in_pairs, outcome, process, tell
from benchmarks.shapes import SHAPES, WEIGHT_DTYPES, add_size, make_config, make_weights
from benchmarks.writing import quickest_seconds

if TYPE_CHECKING:
    from tinylm.interchange.source import ExportedModel

DTYPES = {"fp32": "f32", "bf16": "f16", "int8": "q8_0"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    add_size(parser, "15M")
    parser.add_argument("--model", metavar="FOLDER", help="a model folder, instead of random weights of that size")
    parser.add_argument("--tokens", type=at_least_one, default=150, help="of each text (default: %(default)s)")
    parser.add_argument("--weight-dtype", choices=WEIGHT_DTYPES, default="fp32", help="(default: %(default)s)")
    parser.add_argument("--only", choices=["tinylm"], help="measure one side, in this process")


def run(arguments: argparse.Namespace) -> int:
    tokens, dtype = arguments.tokens, arguments.weight_dtype
    if arguments.only:
        print(json.dumps({"value": round(tokens / tinylm_writes(arguments), 1)}))
        return 0
    chosen = ["--model", Path(arguments.model).resolve()] if arguments.model else ["--size", arguments.size]
    with tempfile.TemporaryDirectory() as folder:
        write_file(Path(folder), arguments)

        def peer(_: int) -> Run:
            runs = [process("benchmarks.peers.llama_cpp", Path(folder, "model.gguf"), tokens, threads).json()
                    for threads in (1, 2)]
            return max(runs, key=lambda run: float(run["value"]))

        def ours(_: int) -> Run:
            return process("benchmarks", "llama-cpp", "--only", "tinylm", *chosen, "--tokens", tokens,
                           "--weight-dtype", dtype).json()

        pairs = in_pairs(arguments.pairs, peer, ours)
    return tell(outcome("llama-cpp", pairs, unit="tokens/s", more_is_better=True, model=str(chosen[1]), tokens=tokens,
                        weight_dtype=dtype, peer=f"llama.cpp with weights of {DTYPES[dtype]}"))


def tinylm_writes(arguments: argparse.Namespace) -> float:
    """Seconds."""
    from tinylm.engine.engine import Engine

    model = make_model(arguments)
    return quickest_seconds(Engine(model.config.model, model.weights, arguments.weight_dtype), arguments.tokens)


def write_file(folder: Path, arguments: argparse.Namespace) -> None:
    from tinylm.interchange.gguf.export import write

    write(make_model(arguments), folder, DTYPES[arguments.weight_dtype])  # type: ignore[arg-type]


def make_model(arguments: argparse.Namespace) -> ExportedModel:
    from tinylm.config.schema import DataConfig, RunConfig, TrainConfig
    from tinylm.interchange.export import read_model
    from tinylm.interchange.source import ExportedModel
    from tinylm.text.tokenizer import Tokenizer

    if arguments.model:
        return read_model(arguments.model)
    shape = make_config(SHAPES[arguments.size])
    config = RunConfig(model=shape, data=DataConfig(), train=TrainConfig(steps=1))
    return ExportedModel(arguments.size, config, Tokenizer.train("char", ["abc"]), make_weights(shape))
