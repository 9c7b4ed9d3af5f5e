"""Tokens a second of reading a prompt that fills the context, up to the logits after its last token: by tinylm's engine
in blocks, and by one forward pass of a Llama of that size in transformers, as its generate begins. Some readings do not
count; the quickest of the rest does, on both sides.
"""

from __future__ import annotations

import argparse
import json

from benchmarks.harness import Run, add_pairs, at_least_one, in_pairs, outcome, process, seconds_of, tell
from benchmarks.shapes import SHAPES, add_size, make_engine

READINGS = 6
"""On each side; the first does not count."""


def tinylm_reads(size: str, tokens: int) -> float:
    """Seconds."""
    from tinylm.generation.engine_decoder import EngineDecoder

    engine = make_engine(size)

    def read() -> None:
        assert EngineDecoder(engine, _prompt(size, tokens)).n_dropped == 0

    return min([seconds_of(read) for _ in range(READINGS)][1:])


def peer_reads(size: str, tokens: int) -> float:
    """Seconds."""
    import torch

    from benchmarks.peers.llama import make_llama, quickest

    model, ids = make_llama(SHAPES[size]), torch.tensor([_prompt(size, tokens)])

    @torch.no_grad()
    def read() -> None:
        assert model(ids, use_cache=True, logits_to_keep=1).logits.shape[1] == 1

    return min(quickest(read) for _ in range(READINGS // 2))


def _prompt(size: str, tokens: int) -> list[int]:
    return [1 + place * 7 % (SHAPES[size]["vocab_size"] - 1) for place in range(tokens)]


SIDES = {"peer": peer_reads, "tinylm": tinylm_reads}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    add_size(parser, "15M")
    parser.add_argument("--tokens", type=at_least_one, metavar="N", help="of the prompt (default: the whole context)")
    parser.add_argument("--only", choices=SIDES, help="measure one side, in this process")


def run(arguments: argparse.Namespace) -> int:
    size = arguments.size
    tokens = arguments.tokens or SHAPES[size]["context_length"]
    if arguments.only:
        seconds = SIDES[arguments.only](size, tokens)
        print(json.dumps({"value": round(tokens / seconds), "prompt_seconds": round(seconds, 4)}))
        return 0

    def side(name: str) -> Run:
        return process("benchmarks", "prefill", "--only", name, "--size", size, "--tokens", tokens).json()

    pairs = in_pairs(arguments.pairs, lambda _: side("peer"), lambda _: side("tinylm"))
    return tell(outcome("prefill", pairs, unit="tokens/s", more_is_better=True, size=size, tokens=tokens,
                        peer="a forward pass of transformers, a Llama of that size in 32 bits"))
