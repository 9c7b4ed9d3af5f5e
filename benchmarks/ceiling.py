"""How much of what this machine's matrix products reach a training step reaches: GFLOP/s of whole steps, optimiser
included, by those of one large product in the same precision on the same cores. The operations of a step are those of
its products and of attention, 3 times the forward pass; Muon's own are not counted, though they take time.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from benchmarks.harness import Run, add_pairs, add_precision, at_least_one, in_pairs, outcome, tell

SIZES = ("0.8M", "2M", "10M", "50M")
VOCABULARY, CONTEXT, ROWS, WIDTH = 2048, 256, 16, 2048
PRODUCTS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    add_precision(parser)
    parser.add_argument("--size", choices=SIZES, default="10M", help="(default: %(default)s)")
    parser.add_argument("--steps", type=at_least_one, default=4, help="that are timed (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    shape, steps = _shape(arguments.size), arguments.steps
    compute = _compute(shape, arguments.precision)
    pairs = in_pairs(arguments.pairs, lambda _: _product(compute), lambda _: _steps(shape, compute, steps))
    return tell(outcome("ceiling", pairs, unit="GFLOP/s", more_is_better=True, peer=f"one product on the {compute}",
                        size=arguments.size))


def _compute(shape: Any, precision: str) -> Any:
    import torch

    from tinylm.training.backend import choose_compute

    return choose_compute(shape, torch.device("cpu"), flops=1e12, precision=precision)


def _shape(size: str) -> Any:
    from tinylm.config.presets import size as size_config
    from tinylm.config.schema import ModelConfig

    return ModelConfig(vocab_size=VOCABULARY, context_length=CONTEXT, **size_config(size)["model"])


def _product(compute: Any) -> Run:
    """The best of several products, each core its own, as the fast path computes."""
    import torch

    with compute.running():
        cores = compute.workers.cores
        pairs = [torch.rand(2, WIDTH, WIDTH).to(compute.dtype) for _ in range(cores)]
        seconds = min(_timed(lambda: compute.workers.map(lambda core: pairs[core][0] @ pairs[core][1]))
                      for _ in range(PRODUCTS))
    return {"value": round(2e-9 * cores * WIDTH**3 / seconds, 1)}


def _steps(shape: Any, compute: Any, steps: int) -> Run:
    import torch

    from tinylm.config.schema import TrainConfig
    from tinylm.inspection.structure import training_flops_per_token
    from tinylm.model.threads import flush_denormals
    from tinylm.model.transformer import TinyLM
    from tinylm.training.backend import TrainingBackend
    from tinylm.training.optimizer import make_optimizers
    from tinylm.training.step import train_step

    ids = torch.randint(VOCABULARY, (ROWS, CONTEXT), generator=torch.Generator().manual_seed(0)).numpy()
    with flush_denormals(), compute.running():
        model = TinyLM(shape)
        optimizers, backend = make_optimizers(model, TrainConfig(steps=1), compute), TrainingBackend(model, compute)
        times = [_timed(lambda: train_step(model, optimizers, [(ids, ids)], grad_clip=1.0, backend=backend))
                 for _ in range(1 + steps)]
    seconds = sorted(times[1:])[steps // 2]
    return {"value": round(1e-9 * training_flops_per_token(shape, CONTEXT) * ids.size / seconds, 1),
            "tokens_per_second": round(ids.size / seconds)}


def _timed(action: Any) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
