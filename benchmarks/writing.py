"""Greedy tokens a second of a model with random weights, beside generate of transformers on a Llama of that size, which
has 32 bits always. Each writes four texts, from an empty prompt, of which the quickest counts; the peer two of them on
one core and two on all. Or several texts together, four times, whose tokens all count.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Run, add_pairs, at_least_one, in_pairs, outcome, process, seconds_of, tell
from benchmarks.shapes import SHAPES, WEIGHT_DTYPES, add_size, make_engine

if TYPE_CHECKING:
    from tinylm.config.schema import SampleConfig
    from tinylm.engine.engine import Engine


TEXTS = 4
"""As many as `quickest` has of the peer."""


def tinylm_writes(options: argparse.Namespace) -> float:
    """Seconds."""
    return quickest_seconds(make_engine(options.size, options.weight_dtype), options.tokens, options.streams)


def quickest_seconds(engine: Engine, tokens: int, streams: int = 1) -> float:
    """Seconds of the quickest of four texts, or of four times some texts together."""
    from tinylm.config.schema import SampleConfig

    sample = SampleConfig(greedy=True, max_tokens=tokens)

    def write() -> None:
        texts = write_texts(engine, sample, streams)
        assert [len(ids) for ids in texts] == [tokens] * streams

    return min(seconds_of(write) for _ in range(TEXTS))


def write_texts(engine: Engine, sample: SampleConfig, streams: int) -> list[list[int]]:
    """One text in runs as somebody who reads along gets them; several in the longest runs."""
    from tinylm.generation.backend import EngineBackend
    from tinylm.generation.batch import Batch
    from tinylm.generation.completion import MAX_STEPS
    from tinylm.generation.generator import MAX_STREAM_STEPS
    from tinylm.generation.run_tuner import RunTuner

    batch, tuner = Batch(EngineBackend(engine), engine.config.vocab_size, eos_id=-1), RunTuner(MAX_STREAM_STEPS)
    texts = [batch.add([1], sample, seed=0) for _ in range(streams)]
    while batch.running:
        tuner.run(batch) if streams == 1 else batch.run(MAX_STEPS)
    return [text.new for text in texts]


def peer_writes(options: argparse.Namespace) -> float:
    """Seconds."""
    import torch

    from benchmarks.peers.llama import make_llama, quickest

    model, prompts = make_llama(SHAPES[options.size]), torch.ones((options.streams, 1), dtype=torch.int64)

    def write() -> None:
        ids = model.generate(prompts, max_new_tokens=options.tokens, min_new_tokens=options.tokens, do_sample=False,
                             pad_token_id=0)
        assert ids.shape == (options.streams, options.tokens + 1)

    return quickest(write)


SIDES = {"peer": peer_writes, "tinylm": tinylm_writes}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    add_size(parser, "0.8M")
    parser.add_argument("--tokens", type=at_least_one, default=200, help="of each text (default: %(default)s)")
    parser.add_argument("--streams", type=at_least_one, default=1, metavar="N",
                        help="texts that are written together (default: %(default)s)")
    parser.add_argument("--weight-dtype", "--storage", choices=WEIGHT_DTYPES, default="fp32",
                        help="of tinylm's weights; the peer has fp32 (default: %(default)s)")
    parser.add_argument("--only", choices=SIDES, help="measure one side, in this process")


def run(arguments: argparse.Namespace) -> int:
    if arguments.only:
        seconds = SIDES[arguments.only](arguments)
        print(json.dumps({"value": round(arguments.streams * arguments.tokens / seconds),
                          "text_seconds": round(seconds, 4)}))
        return 0
    chosen: dict[str, Any] = {name: getattr(arguments, name) for name in ("size", "tokens", "streams", "weight_dtype")}
    options = [part for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", value)]

    def side(name: str) -> Run:
        return process("benchmarks", "writing", "--only", name, *options).json()

    pairs = in_pairs(arguments.pairs, lambda _: side("peer"), lambda _: side("tinylm"))
    return tell(outcome("writing", pairs, unit="tokens/s", more_is_better=True, **chosen,
                        peer="generate of transformers, a Llama of that size in 32 bits"))
