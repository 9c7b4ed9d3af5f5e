"""The teaching notebook's 200 epochs on its four sentences: its own code against tinylm's preset `notebook` on `hello`.
The seconds are those of the loop, from its first to its last update, each time in a new process. What comes before,
with imports, the making of model and optimiser, and any compiling, is told as `ready_seconds`: making PyTorch's first
optimiser alone imports for longer than the notebook trains.
"""

from __future__ import annotations

import argparse
import json
import time

from benchmarks import STARTED
from benchmarks.harness import Done, Run, add_pairs, fresh, in_pairs, outcome, process, tell


def train_tinylm() -> Run:
    """How tinylm makes this run: the one place that knows. The text is read and encoded before the clock starts, and
    nothing is measured or tried out beforehand, which would warm the process up."""
    import torch

    from tinylm.config.presets import preset
    from tinylm.config.schema import DataConfig, ModelConfig, TrainConfig
    from tinylm.inspection.structure import training_flops_per_token
    from tinylm.model.threads import flush_denormals
    from tinylm.model.transformer import TinyLM
    from tinylm.text.corpus import open_corpus
    from tinylm.text.dataset import build_dataset
    from tinylm.text.rows import Rows
    from tinylm.text.split import split_corpus, train_tokenizer
    from tinylm.training.backend import TrainingBackend, choose_compute
    from tinylm.training.controller import ScheduleController
    from tinylm.training.events import Stepped
    from tinylm.training.loop import Training
    from tinylm.training.optimizer import make_optimizers
    from tinylm.training.schedule import StepHorizon

    chosen = preset("notebook")
    data = DataConfig(**chosen["data"])
    split = split_corpus(open_corpus("hello", documents=data.documents), 0)
    tokenizer = train_tokenizer(split, data.tokenizer, unknown_token=data.unknown_token)
    shape = ModelConfig(vocab_size=tokenizer.vocab_size, **chosen["model"])
    rows = Rows(build_dataset(split, tokenizer).train, packing=data.packing, context_length=shape.context_length,
                target_padding=tokenizer.pad_id)
    train = TrainConfig(**{**chosen["train"], "batch_size": rows.rows_per_epoch})
    flops = training_flops_per_token(shape, shape.context_length) * shape.context_length * train.batch_size
    compute = choose_compute(shape, torch.device("cpu"), flops=flops, precision=train.precision)
    loss = 0.0
    with flush_denormals(), compute.running():
        model = TinyLM(shape)
        controller = ScheduleController(train, StepHorizon(int(train.epochs or 0)))
        training = Training(model, make_optimizers(model, train, compute), rows, train, controller,
                            backend=TrainingBackend(model, compute))
        began = time.perf_counter()
        for event in training.events():
            loss = event.loss if isinstance(event, Stepped) else loss
        seconds = time.perf_counter() - began
    return {"value": round(seconds, 4), "loss": loss, "steps": training.step,
            "ready_seconds": round(began - STARTED, 3)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)
    parser.add_argument("--only", choices=["tinylm"], help="measure tinylm's side, in this process")


def run(arguments: argparse.Namespace) -> int:
    if arguments.only:
        print(json.dumps(train_tinylm()))
        return 0
    pairs = in_pairs(arguments.pairs, lambda _: in_process("benchmarks.peers.notebook"),
                     lambda _: in_process("benchmarks", "notebook", "--only", "tinylm"))
    return tell(outcome("notebook", pairs, unit="s", peer="the notebook's own code"))


def in_process(*command: str) -> Run:
    with fresh() as (_, environment):
        done: Done = process(*command, environment=environment)
    return {**done.json(), "seconds": round(done.seconds, 3)}
