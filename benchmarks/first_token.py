"""Seconds from the start of a process to the first character of its answer: `tinylm generate RUN "how" --max-tokens 1`,
and the shortest program that loads a Llama of that size with transformers and writes one token. The peer gets ids: it
has no tokenizer to load. A first run of both, with what it compiles and reads from the disk, does not count.
"""

from __future__ import annotations

import argparse
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.harness import ROOT, Run, add_pairs, environment_of, in_pairs, outcome, tell
from benchmarks.shapes import SHAPES, make_config, make_weights

SIZE, PROMPT = "0.8M", "how"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser)


def run(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "tinylm"), Path(folder, "llama")
        ids = make_tinylm(ours)
        make_peer(theirs)
        tinylm = partial(first_character, "tinylm", "generate", ours, PROMPT, "--max-tokens", 1)
        peer = partial(first_character, "benchmarks.peers.llama", theirs, *ids)
        tinylm(), peer()
        pairs = in_pairs(arguments.pairs, lambda _: peer(), lambda _: tinylm())
    return tell(outcome("first-token", pairs, unit="s", size=SIZE,
                        peer="generate of transformers, a saved Llama of that size"))


def first_character(module: str, *arguments: object, root: Path = ROOT,
                    environment: Mapping[str, str] | None = None) -> Run:
    """Of what `python -m module` prints. Raises: SystemExit: it printed nothing."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", module, *map(str, arguments)], cwd=root, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env={**environment_of(root), "HF_HUB_OFFLINE": "1",
                                                       **(environment or {})}) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        seconds = time.perf_counter() - began
        _, errors = process.communicate()
    if not first or process.returncode:
        raise SystemExit(f"{module} ended with {process.returncode}:\n{errors.decode()[-4000:]}")
    return {"value": round(seconds, 3), "whole_seconds": round(time.perf_counter() - began, 3)}


def make_tinylm(folder: Path) -> list[int]:
    """A model folder with random weights. Returns the ids of the prompt."""
    import torch

    from tinylm import DataConfig, LanguageModel, RunConfig, TinyLM, Tokenizer, TrainConfig

    tokenizer, config = Tokenizer.train("char", [string.digits + string.ascii_letters]), make_config(SHAPES[SIZE])
    assert tokenizer.vocab_size == config.vocab_size
    model = TinyLM(config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in make_weights(config).items()})
    LanguageModel(RunConfig(model=config, data=DataConfig(tokenizer="char"), train=TrainConfig(steps=1)), tokenizer,
                  model).save(folder)
    return tokenizer.encode_prompt(PROMPT)


def make_peer(folder: Path) -> None:
    from benchmarks.peers.llama import make_llama

    make_llama(SHAPES[SIZE]).save_pretrained(folder)
