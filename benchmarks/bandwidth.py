"""The share of the memory's bandwidth that writing reaches: gigabytes of weights that greedy writing of one text reads
in a second (every token reads every matrix once), by those that adding up a large array reads on the same cores.
"""

from __future__ import annotations

import argparse

from benchmarks.harness import Run, add_pairs, at_least_one, in_pairs, outcome, process, seconds_of, tell
from benchmarks.shapes import SHAPES, WEIGHT_DTYPES, add_size, make_config

ARRAY_BYTES = 1 << 30
"""Far more than any cache holds."""
SUMS = 12
BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
"""A weight's; the scales of 8-bit weights, one for each output, are left out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    add_size(parser, "15M")
    parser.add_argument("--tokens", type=at_least_one, default=150, help="of each text (default: %(default)s)")
    parser.add_argument("--weight-dtype", choices=WEIGHT_DTYPES, default="fp32", help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    size, tokens, dtype = arguments.size, arguments.tokens, arguments.weight_dtype
    gigabytes = 1e-9 * matrix_weights(size) * BYTES[dtype]

    def ours(_: int) -> Run:
        written = process("benchmarks", "writing", "--only", "tinylm", "--size", size, "--tokens", tokens,
                          "--weight-dtype", dtype).json()
        return {"value": round(gigabytes * written["value"], 2), "tokens_per_second": written["value"]}

    pairs = in_pairs(arguments.pairs, lambda _: {"value": round(read_speed(), 2)}, ours)
    return tell(outcome("bandwidth", pairs, unit="GB/s", more_is_better=True, size=size, weight_dtype=dtype,
                        megabytes=round(1e3 * gigabytes, 1), peer="the sum of an array of 1 GiB by torch"))


def matrix_weights(size: str) -> int:
    """The number of weights in the matrices that every token reads: all but the embedding, of which a token reads one
    row, unless the embedding is the output head, too."""
    from tinylm.inspection.structure import parameter_table

    config = make_config(SHAPES[size])
    return sum(each.shape[0] * each.shape[1] for each in parameter_table(config) if len(each.shape) == 2
               and (each.name != "embed.weight" or config.tied_embeddings))


def read_speed() -> float:
    """Gigabytes a second, the best of several sums, each on all cores."""
    import torch

    array = torch.ones(ARRAY_BYTES // 4)
    return 1e-9 * ARRAY_BYTES / min(seconds_of(array.sum) for _ in range(SUMS))
