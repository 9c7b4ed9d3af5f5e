"""Training tokens a second at the shape of the small plain GPT: 4 layers, width 128, context 64, batches of 64 rows.
Some steps that do not count, then timed ones, each on another batch of random ids; reading text is left out on both
sides. tinylm takes its steps as in a run: its default shape, optimisers and settings of the processor.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import STARTED
from benchmarks.harness import Run, add_pairs, add_precision, at_least_one, fresh, in_pairs, outcome, process, tell

if TYPE_CHECKING:
    from torch import Tensor

VOCABULARY, CONTEXT, WIDTH, LAYERS, HEADS, ROWS = 68, 64, 128, 4, 4, 64
UNCOUNTED, TIMED = 5, 60

Step = Callable[["Tensor", "Tensor"], object]


@contextmanager
def tinylm_step(precision: str) -> Iterator[Step]:
    """How tinylm makes a step: the one place that knows."""
    import torch

    from tinylm.config.schema import ModelConfig, TrainConfig
    from tinylm.inspection.structure import training_flops_per_token
    from tinylm.model.threads import flush_denormals
    from tinylm.model.transformer import TinyLM
    from tinylm.training.backend import TrainingBackend, choose_compute
    from tinylm.training.optimizer import make_optimizers
    from tinylm.training.step import train_step

    shape = ModelConfig(vocab_size=VOCABULARY, context_length=CONTEXT, d_model=WIDTH, n_layers=LAYERS, n_heads=HEADS,
                        d_mlp=4 * WIDTH, mlp="squared_relu")
    train, flops = TrainConfig(steps=UNCOUNTED + TIMED, batch_size=ROWS), training_flops_per_token(shape, CONTEXT)
    compute = choose_compute(shape, torch.device("cpu"), flops=flops * CONTEXT * ROWS, precision=precision)
    with flush_denormals(), compute.running():
        model = TinyLM(shape)
        optimizers, backend = make_optimizers(model, train, compute), TrainingBackend(model, compute)
        yield lambda inputs, targets: train_step(model, optimizers, [(inputs.numpy(), targets.numpy())],
                                                 grad_clip=train.grad_clip, backend=backend)


@contextmanager
def peer_step(_: str) -> Iterator[Step]:
    from benchmarks.peers.gpt import GPT, Shape, make_optimizer, train_step

    model = GPT(Shape(VOCABULARY, CONTEXT, LAYERS, HEADS, WIDTH))
    yield partial(train_step, model, make_optimizer(model, 1e-3))


SIDES = {"peer": peer_step, "tinylm": tinylm_step}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    add_precision(parser)
    parser.add_argument("--steps", type=at_least_one, default=TIMED, help="that are timed (default: %(default)s)")
    parser.add_argument("--only", choices=SIDES, help="measure one side, in this process")


def run(arguments: argparse.Namespace) -> int:
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.steps, arguments.precision)))
        return 0
    pairs = in_pairs(arguments.pairs, lambda _: in_process("peer", arguments),
                     lambda _: in_process("tinylm", arguments))
    return tell(outcome("throughput", pairs, unit="tokens/s", more_is_better=True, peer="a plain GPT in 32 bits",
                        rows=ROWS, context=CONTEXT, steps=arguments.steps, precision=arguments.precision))


def in_process(side: str, arguments: argparse.Namespace) -> Run:
    with fresh() as (_, environment):
        done = process("benchmarks", "throughput", "--only", side, "--steps", arguments.steps, "--precision",
                       arguments.precision, environment=environment)
    return {**done.json(), "seconds": round(done.seconds, 3)}


def measure(side: str, steps: int, precision: str) -> Run:
    """Tokens a second. What came before the timed steps, compiling included, is told in `ready_seconds`."""
    import torch

    torch.manual_seed(0)
    ids = torch.randint(VOCABULARY, (UNCOUNTED + steps, ROWS, CONTEXT + 1))
    batches = [(each[:, :-1].contiguous(), each[:, 1:].contiguous()) for each in ids]
    with SIDES[side](precision) as step:
        for batch in batches[:UNCOUNTED]:
            step(*batch)
        began = time.perf_counter()
        for batch in batches[UNCOUNTED:]:
            step(*batch)
        seconds = time.perf_counter() - began
    return {"value": round(steps * ROWS * CONTEXT / seconds), "step_seconds": round(seconds / steps, 5),
            "ready_seconds": round(began - STARTED, 3)}
