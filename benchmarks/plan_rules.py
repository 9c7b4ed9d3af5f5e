"""The experiments behind the rules of planning/defaults.py: bits a byte on a text held out, at equal time.

Time is that of a nominal machine, turned into steps beforehand, so that a busy machine changes nothing but the waiting.
It trains by the path that a run would take on this machine.
Each cell is one run. Cells whose folder is there are passed over, so that several processes can share the work:

    python -m benchmarks plan-rules BOOK.txt PLAY.txt RUNS [CELL ...]

BOOK gives the slices of 5, 20 and 100 KB, PLAY (1 MB) is taken whole but for its end, and 10 MB are Python's library.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from tinylm.config.presets import size
from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.evaluation import baselines
from tinylm.inspection import structure
from tinylm.model.threads import flush_denormals
from tinylm.model.transformer import TinyLM
from tinylm.planning.defaults import tokens_per_second
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import Dataset, build_dataset
from tinylm.text.rows import Rows
from tinylm.text.split import split_corpus, train_tokenizer
from tinylm.text.units import bits_per_byte
from tinylm.training.backend import TrainingBackend, choose_compute
from tinylm.training.controller import ScheduleController
from tinylm.training.evaluate import Validator
from tinylm.training.events import Validated, to_json_line
from tinylm.training.loop import Training
from tinylm.training.optimizer import make_optimizers
from tinylm.training.schedule import StepHorizon

NOMINAL_SPEED = 220e9
"""Of a machine in the terms of planning/throughput.py: 40,000 tokens/s of the size 0.8M in characters."""
HELD_OUT = 60_000
"""Characters to judge on, also for the smallest text: its own last tenth would say little."""


@dataclass(frozen=True)
class Cell:
    text: str
    minutes: float
    size: str
    tokenizer: str = "char"
    vocab_size: int | None = None
    dropout: float = 0.0
    weight_decay: float = 0.1
    context: int = 128
    batch_tokens: int = 4096
    learning: float = 1.0
    """Times the default learning rates."""

    @property
    def name(self) -> str:
        changed = [f"{key}{value:g}" for key, value in (
            ("drop", self.dropout), ("wd", self.weight_decay), ("ctx", self.context), ("batch", self.batch_tokens),
            ("lr", self.learning)) if value != getattr(Cell, _FIELDS[key])]
        tokens = f"{self.tokenizer}{self.vocab_size or ''}"
        return "-".join([self.text, f"{self.minutes:g}min", self.size, tokens, *changed])


_FIELDS = {"drop": "dropout", "wd": "weight_decay", "ctx": "context", "batch": "batch_tokens", "lr": "learning"}


def cells() -> list[Cell]:
    """From the smallest text to the largest."""
    page = Cell("5KB", 0.05, "0.1M", dropout=0.2, weight_decay=3.0, batch_tokens=1024)
    pages = Cell("20KB", 0.1, "0.1M", dropout=0.1, weight_decay=3.0, batch_tokens=2048)
    part = Cell("100KB", 0.25, "0.3M", dropout=0.1, weight_decay=1.0)
    play = Cell("1MB", 1, "0.8M", "bpe", 2048, weight_decay=1.0)
    code = Cell("10MB", 1, "0.8M", "bpe", 4096, weight_decay=0.5)
    return [
        replace(page, dropout=0.1), replace(page, dropout=0.3), replace(page, weight_decay=6.0),
        replace(page, dropout=0.3, weight_decay=1.0), replace(page, batch_tokens=2048),
        replace(page, minutes=0.1, dropout=0.3), replace(page, minutes=0.1, size="0.3M", dropout=0.5),
        pages, replace(pages, weight_decay=1.0, batch_tokens=4096),
        replace(pages, size="0.3M", weight_decay=1.0, batch_tokens=4096),
        replace(part, dropout=0.0, weight_decay=0.1), replace(part, dropout=0.2, weight_decay=0.1),
        replace(part, dropout=0.0), replace(part, dropout=0.0, weight_decay=2.0), part, replace(part, dropout=0.2),
        replace(part, batch_tokens=2048), replace(part, batch_tokens=1024), replace(part, minutes=0.5),
        replace(part, minutes=0.5, size="0.8M", dropout=0.2),
        replace(part, minutes=0.5, size="0.8M", dropout=0.2, weight_decay=3.0),
        replace(part, minutes=1, weight_decay=2.0), replace(part, minutes=1, dropout=0.2, batch_tokens=2048),
        replace(part, minutes=1, size="0.8M", batch_tokens=2048), replace(part, minutes=1, size="0.8M", dropout=0.3),
        replace(part, minutes=5, size="0.8M", weight_decay=2.0),
        *(replace(play, minutes=minutes, weight_decay=decay) for minutes in (0.4, 0.7, 1) for decay in (0.1, 1.0)),
        *(replace(play, minutes=0.5, tokenizer="char", vocab_size=None, weight_decay=decay) for decay in (0.1, 0.5, 1)),
        *(replace(play, minutes=0.15, size="0.3M", weight_decay=decay) for decay in (0.5, 1.0)),
        replace(play, dropout=0.1),
        *(replace(play, minutes=5, size=size, dropout=0.1) for size in ("0.8M", "2M", "5M")),
        *(replace(code, weight_decay=decay) for decay in (0.1, 0.5, 1.0)), replace(code, minutes=0.25, size="0.3M"),
        *(replace(code, minutes=minutes, size=size, weight_decay=0.1)
          for minutes, sizes in ((5, ("2M", "5M")), (20, ("2M", "5M", "10M"))) for size in sizes),
    ]


def slices(book: Path, play: Path, folder: Path) -> None:
    """Writes the texts, each with what is held out for it beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    prose, verse = book.read_text("utf-8"), play.read_text("utf-8")
    middle = len(prose) // 2
    parts = {"5KB": (prose[middle:middle + 4_500], prose[-HELD_OUT:]),
             "20KB": (prose[middle:middle + 18_000], prose[-HELD_OUT:]),
             "100KB": (prose[middle:middle + 90_000], prose[-HELD_OUT:]),
             "1MB": (verse[:1_000_000], verse[-HELD_OUT:])}
    files = [piece.text for piece in open_corpus("python-stdlib").pieces()]
    held_out = [text for i, text in enumerate(files) if i % 50 == 7]
    trained_on = [text for i, text in enumerate(files) if i % 50 != 7]
    parts["10MB"] = ("".join(trained_on)[:10_000_000], "".join(held_out)[:HELD_OUT])
    for name, (train, validation) in parts.items():
        (folder / f"{name}.txt").write_text(train, "utf-8")
        (folder / f"{name}.held_out.txt").write_text(validation, "utf-8")


def dataset_of(cell: Cell, folder: Path) -> tuple[Dataset, int]:
    corpus = open_corpus(folder / f"{cell.text}.txt", documents="text")
    split = split_corpus(corpus, str(folder / f"{cell.text}.held_out.txt"))
    tokenizer = train_tokenizer(split, cell.tokenizer, vocab_size=cell.vocab_size)
    return build_dataset(split, tokenizer), tokenizer.vocab_size


def run_cell(cell: Cell, texts: Path, folder: Path) -> dict[str, object]:
    """Trains one cell; keeps its events in `folder`."""
    data, vocab_size = dataset_of(cell, texts)
    assert data.validation is not None
    model_config = ModelConfig(vocab_size=vocab_size, context_length=cell.context, dropout=cell.dropout,
                               **size(cell.size)["model"])
    tokens = 60 * cell.minutes * tokens_per_second(model_config.n_layers, model_config.d_model, vocab_size,
                                                   NOMINAL_SPEED)
    steps = max(20, round(tokens / cell.batch_tokens))
    config = TrainConfig(steps=steps, batch_size=cell.batch_tokens // cell.context, weight_decay=cell.weight_decay,
                         warmup_steps=min(100, steps // 10), learning_rate=0.01 * cell.learning,
                         muon_learning_rate=0.02 * cell.learning, evaluate_every=max(1, steps // 12))
    model = TinyLM(model_config, config.seed)
    compute = choose_compute(model_config, torch.device("cpu"), flops=math.inf, precision=config.precision)
    backend = TrainingBackend(model, compute)
    held_out = Rows(data.validation, packing="windows", context_length=cell.context)
    validator = Validator(model, lambda: held_out.evaluation(8192 // cell.context), backend)
    rows = Rows(data.train, packing="windows", context_length=cell.context, seed=config.seed)
    training = Training(model, make_optimizers(model, config, compute), rows, config,
                        ScheduleController(config, StepHorizon(steps)), validator, backend)
    started, curve = time.perf_counter(), []
    with open(folder / "metrics.jsonl", "x", encoding="utf-8") as file, flush_denormals(), compute.running():
        for event in training.events():
            file.write(to_json_line(event))
            if isinstance(event, Validated):
                bits = bits_per_byte(event.loss * data.validation.n_tokens, data.validation.n_bytes)
                curve.append((event.step, round(bits, 4)))
    counted = baselines.ngram(data.train.ids, data.validation.ids, vocab_size)
    best = min(curve, key=lambda point: point[1])
    epochs = steps * cell.batch_tokens / data.train.n_tokens
    return {"cell": cell.name, **asdict(cell), "steps": steps, "epochs": round(epochs, 2),
            "weights": structure.total_parameters(model_config), "bits_per_byte": best[1], "best_step": best[0],
            "last": curve[-1][1], "ngram": round(bits_per_byte(counted, data.validation.n_bytes), 4),
            "seconds": round(time.perf_counter() - started, 1), "curve": curve}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("book", type=Path)
    parser.add_argument("play", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("cells", nargs="*", help="names; none: all")


def run(arguments: argparse.Namespace) -> int:
    texts = arguments.runs / "texts"
    if not texts.is_dir():
        slices(arguments.book, arguments.play, texts)
    results = []
    for cell in cells():
        folder = arguments.runs / cell.name
        if (arguments.cells and cell.name not in arguments.cells) or (folder / "metrics.jsonl").exists():
            continue
        folder.mkdir(exist_ok=True)
        results.append(run_cell(cell, texts, folder))
        (folder / "result.json").write_text(json.dumps(results[-1]) + "\n", encoding="utf-8")
        print(json.dumps({**results[-1], "curve": None}), flush=True)
    print(json.dumps({"cells": results}))
    return 0
