"""Greedy tokens a second of a model with random weights, beside llama.cpp on an export of the same model in as many
bits (32; 16: bfloat16 here and float16 there; 8), as its server counts them: the quickest of four texts, at its quicker
number of threads, with its usual cache of 16 bits and its own choice of attention.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.harness import Run, add_pairs, at_least_one, in_pairs, outcome, process, tell
from benchmarks.shapes import SHAPES, WEIGHT_DTYPES, add_size, make_config, make_weights

DTYPES = {"fp32": "f32", "bf16": "f16", "int8": "q8_0"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    add_size(parser, "15M")
    parser.add_argument("--tokens", type=at_least_one, default=150, help="of each text (default: %(default)s)")
    parser.add_argument("--weight-dtype", choices=WEIGHT_DTYPES, default="fp32", help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    size, tokens, dtype = arguments.size, arguments.tokens, arguments.weight_dtype
    with tempfile.TemporaryDirectory() as folder:
        write_file(Path(folder), size, dtype)

        def peer(_: int) -> Run:
            runs = [process("benchmarks.peers.llama_cpp", Path(folder, "model.gguf"), tokens, threads).json()
                    for threads in (1, 2)]
            return max(runs, key=lambda run: float(run["value"]))

        def ours(_: int) -> Run:
            return process("benchmarks", "writing", "--only", "tinylm", "--size", size, "--tokens", tokens,
                           "--weight-dtype", dtype).json()

        pairs = in_pairs(arguments.pairs, peer, ours)
    return tell(outcome("llama-cpp", pairs, unit="tokens/s", more_is_better=True, size=size, tokens=tokens,
                        weight_dtype=dtype, peer=f"llama.cpp with weights of {DTYPES[dtype]}"))


def write_file(folder: Path, size: str, dtype: str) -> None:
    from tinylm.config.schema import DataConfig, RunConfig, TrainConfig
    from tinylm.interchange.gguf.export import write
    from tinylm.interchange.source import ExportedModel
    from tinylm.text.tokenizer import Tokenizer

    model = make_config(SHAPES[size])
    config = RunConfig(model=model, data=DataConfig(), train=TrainConfig(steps=1))
    tokenizer = Tokenizer.train("char", ["abc"])
    write(ExportedModel(size, config, tokenizer, make_weights(model)), folder, DTYPES[dtype])  # type: ignore[arg-type]
