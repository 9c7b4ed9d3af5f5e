"""Greedy tokens a second of a model with random weights, beside generate of transformers on a Llama of that size, in 32
bits on both sides. A first text does not count; then one of so many tokens is timed, from an empty prompt.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from benchmarks.harness import Run, add_pairs, at_least_one, in_pairs, outcome, process, tell

SHAPES: dict[str, dict[str, Any]] = {
    "0.8M": {"vocab_size": 65, "d_model": 128, "n_layers": 4, "n_heads": 4, "d_mlp": 352, "context_length": 256},
    "15M": {"vocab_size": 32_000, "d_model": 288, "n_layers": 6, "n_heads": 6, "d_mlp": 768, "context_length": 1024,
            "tied_embeddings": True},
}


def tinylm_writes(shape: dict[str, Any], tokens: int) -> float:
    """Seconds."""
    import numpy as np

    from tinylm.config import ModelConfig, SampleConfig
    from tinylm.generation.engine.decoder import EngineDecoder
    from tinylm.generation.engine.engine import Engine
    from tinylm.generation.window import generate_ids
    from tinylm.inspection.structure import parameter_table

    config, random = ModelConfig(**shape, qk_norm=False), np.random.default_rng(0)
    engine = Engine(config, {each.name: 0.02 * random.standard_normal(each.shape, np.float32)
                             for each in parameter_table(config)})
    sample = SampleConfig(greedy=True, max_tokens=tokens)
    for _ in range(2):
        began = time.perf_counter()
        ids = list(generate_ids(EngineDecoder(engine, [1]), sample, eos_id=-1, seed=0))
        seconds = time.perf_counter() - began
    assert len(ids) == tokens
    return seconds


def peer_writes(shape: dict[str, Any], tokens: int) -> float:
    """Seconds, on one core or on all, whichever is quicker: beside another program its threads wait for each other."""
    import torch

    from benchmarks.peers.llama import make_llama

    model = make_llama(shape)
    taken = []
    for threads in (torch.get_num_threads(), 1, 1):
        torch.set_num_threads(threads)
        began = time.perf_counter()
        ids = model.generate(torch.ones((1, 1), dtype=torch.int64), max_new_tokens=tokens, min_new_tokens=tokens,
                             do_sample=False, pad_token_id=0)
        taken.append(time.perf_counter() - began)
    assert ids.shape == (1, tokens + 1)
    return min(taken)


SIDES = {"peer": peer_writes, "tinylm": tinylm_writes}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    parser.add_argument("--size", choices=SHAPES, default="0.8M", help="(default: %(default)s)")
    parser.add_argument("--tokens", type=at_least_one, default=200, help="of the text (default: %(default)s)")
    parser.add_argument("--only", choices=SIDES, help="measure one side, in this process")


def run(arguments: argparse.Namespace) -> int:
    size, tokens = arguments.size, arguments.tokens
    if arguments.only:
        seconds = SIDES[arguments.only](SHAPES[size], tokens)
        print(json.dumps({"value": round(tokens / seconds), "text_seconds": round(seconds, 4)}))
        return 0

    def side(name: str) -> Run:
        return process("benchmarks", "writing", "--only", name, "--size", size, "--tokens", tokens).json()

    pairs = in_pairs(arguments.pairs, lambda _: side("peer"), lambda _: side("tinylm"))
    return tell(outcome("writing", pairs, unit="tokens/s", more_is_better=True, size=size, tokens=tokens,
                        peer="generate of transformers, a Llama of that size in 32 bits"))
