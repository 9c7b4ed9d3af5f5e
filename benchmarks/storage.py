"""Bits a byte that weights of 16 and 8 bits lose against 32, on the held-out tenth of a text that a model was trained
on for a short time. All three are judged by tinylm's engine, on every token of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.harness import Pair, Run, fresh, outcome, process, tell
from benchmarks.shapes import WEIGHT_DTYPES

if TYPE_CHECKING:
    from tinylm.engine.engine import Engine
    from tinylm.text.dataset import Part

MOST = 0.01
"""Bits a byte that int8 may lose."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", type=Path)
    parser.add_argument("--size", default="0.8M", help="of the model (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=0.5, help="of training (default: %(default)g)")


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 1 where int8 loses `MOST` or more."""
    size, minutes = arguments.size, arguments.minutes
    with fresh(compiled=True) as (folder, environment):
        process("tinylm", "train", arguments.text.resolve(), "--size", size, "--minutes", minutes, "--out",
                folder / "run", environment=environment)
        runs = measure(folder / "run", arguments.text)
    bits = {name: found["value"] for name, found in runs.items()}
    lost = {name: round(bits[name] - bits["fp32"], 6) for name in WEIGHT_DTYPES}
    result = outcome("storage", [Pair(runs["fp32"], runs["int8"])], unit="bits/byte", size=size, minutes=minutes,
                     text=arguments.text.name, lost=lost, most=MOST, bits=bits,
                     peer="the same model in 32 bits; tinylm stands for int8")
    print("lost       " + ", ".join(f"{name} {lost[name]:.6f}" for name in WEIGHT_DTYPES[1:]))
    return tell(result) or int(lost["int8"] >= MOST)


def measure(folder: Path, text: Path) -> dict[str, Run]:
    """Of each weight dtype."""
    from tinylm import model_folder
    from tinylm.engine.engine import Engine
    from tinylm.text.corpus import open_corpus
    from tinylm.text.dataset import build_dataset
    from tinylm.text.reading.sources import Options
    from tinylm.text.split import split_corpus

    config = model_folder.read_config(folder)
    corpus = open_corpus(text, Options.of(config.data))
    part = build_dataset(split_corpus(corpus, config.data.validation), model_folder.read_tokenizer(folder)).validation
    assert part is not None, "nothing of this text is held out"
    weights = model_folder.read_weights(folder, config.model)
    return {dtype: {"weight_dtype": dtype, "value": bits_per_byte(Engine(config.model, dict(weights), dtype), part)}
            for dtype in WEIGHT_DTYPES}


def bits_per_byte(engine: Engine, part: Part) -> float:
    """In windows of the context, each token once."""
    from tinylm.engine.kv_cache import SequenceCache
    from tinylm.text.rows import IGNORE, Rows

    nats = 0.0
    for rows, targets in Rows(part, packing="windows", context_length=engine.config.context_length).evaluation(1):
        counted = targets[0] != IGNORE
        ids = rows[0][counted].tolist()
        logits = engine.read([SequenceCache(engine.config)] * len(ids), ids, len(ids)).astype(np.float64)
        chosen = logits[np.arange(len(ids)), targets[0][counted]]
        highest = logits.max(axis=1)
        nats += float((highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)) - chosen).sum())
    return round(float(nats / np.log(2) / part.n_bytes), 6)
