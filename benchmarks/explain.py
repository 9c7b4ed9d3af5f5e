"""Milliseconds until everything that can be shown of a text of 64 tokens is there: tokens, lens, attention of every
head, contributions, the text without each head and each MLP, a patch from another text, a training step, habits of
heads, neighbours and map. With random weights, on the CPU, after one round that is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import string
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.harness import at_least_one, seconds_of
from benchmarks.shapes import SHAPES, add_size, make_config, make_weights

if TYPE_CHECKING:
    from tinylm.lm import LanguageModel

MOST = 500
"""Milliseconds that all of it may take, for a model of 0.8M."""
CHARACTERS = string.ascii_letters + string.digits
TEXT = (CHARACTERS * 2)[:63]
"""With `<bos>` 64 tokens."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_size(parser, "0.8M")
    parser.add_argument("--rounds", type=at_least_one, default=5, metavar="N", help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 1 where a 0.8M model takes longer than `MOST`."""
    lm = make_model(arguments.size)
    rounds = [{name: 1000 * seconds_of(show) for name, show in shown(lm).items()} for _ in range(arguments.rounds + 1)]
    medians = {name: round(statistics.median(each[name] for each in rounds[1:]), 1) for name in rounds[0]}
    totals = [round(sum(each.values()), 1) for each in rounds[1:]]
    print("\n".join(f"{name:<14}{value:>9.1f} ms" for name, value in medians.items()))
    value = round(statistics.median(totals), 1)
    print(f"{'in all':<14}{value:>9.1f} ms")
    print(json.dumps({"benchmark": "explain", "value": value, "unit": "ms", "size": arguments.size, "tokens": 64,
                      "most": MOST, "parts": medians, "rounds": totals}))
    return int(arguments.size == "0.8M" and value > MOST)


def make_model(size: str) -> LanguageModel:
    """A model of random weights; where its vocabulary has 65 entries, of characters."""
    from tinylm.config.schema import DataConfig, RunConfig, SampleConfig, TrainConfig
    from tinylm.lm import LanguageModel
    from tinylm.text.tokenizer import Tokenizer

    config = make_config(SHAPES[size] | {"vocab_size": len(CHARACTERS) + 3})
    return LanguageModel(RunConfig(model=config, data=DataConfig(tokenizer="char"), train=TrainConfig(steps=1),
                                   sample=SampleConfig()),
                         Tokenizer.train("char", [CHARACTERS]), weights=make_weights(config))


def shown(lm: LanguageModel) -> dict[str, Callable[[], object]]:
    """What is shown, by name, of a text that was not asked of before."""
    from tinylm.inspection.places import heads_and_mlps

    text, other, config = lm.explain(TEXT), lm.explain(TEXT[::-1]), lm.config.model
    heads = [(layer, head) for layer in range(config.n_layers) for head in range(config.n_heads)]
    return {
        "tokens": text.tokens,
        "lens": text.lens,
        "attention": lambda: [text.attention(*head) for head in heads],
        "contributions": text.contributions,
        "without each": lambda: [text.without(place.name).next() for place in heads_and_mlps(config)],
        "a patch": lambda: text.patched(other, "1.0:-1").next(),
        "a step": text.training_step,
        "habits": lm.explainer.head_scores,
        "neighbours": lambda: [lm.explainer.neighbours(id) for id in set(text.ids)],
        "map": lm.explainer.embedding_map,
    }
