"""A GPT-2 of a given size from the parts of transformers: a byte-level BPE made from the training text, the model, and
the Trainer with its default settings (5e-5, batches of 8, AdamW, linear decay), for some minutes.

    python -m benchmarks.peers.trainer TEXT --minutes 5 [options]

The defaults know no time, so it does what a user with a clock would: it tries some steps on a model that is thrown
away, has the schedule end where the time will, and stops by the clock whatever comes. Judging is not in the time.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import ByteLevelBPETokenizer
from torch import Tensor
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from benchmarks import STARTED

HELD_OUT = 0.1
TRIED = 10
"""Steps that are tried; the first half of them does not count."""
END_OF_TEXT = "<|endoftext|>"
SMALLEST_VOCABULARY = 256 + 1
"""All bytes and the end of a text."""
WINDOWS_AT_ONCE = 32


class Clock(TrainerCallback):
    """Notes when each step ended, and ends the training when the time is up."""

    def __init__(self, until: float = math.inf) -> None:
        self.until, self.ends = until, list[float]()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,  # noqa: ARG002
                    **_: object) -> None:
        self.ends.append(time.perf_counter())
        control.should_training_stop |= self.ends[-1] >= self.until

    def step_seconds(self) -> float:
        ends = self.ends[len(self.ends) // 2:]
        return statistics.median(later - earlier for earlier, later in pairwise(ends))


def make_tokenizer(text: str, vocab_size: int) -> ByteLevelBPETokenizer:
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([text], max(SMALLEST_VOCABULARY, vocab_size), show_progress=False,
                                  special_tokens=[END_OF_TEXT])
    return tokenizer


def make_rows(ids: Tensor, context: int) -> list[dict[str, Tensor]]:
    """Windows that follow one another; the model itself shifts the labels. What is left over is left out."""
    return [{"input_ids": row, "labels": row} for row in ids.split(context) if len(row) == context]


def fit(config: GPT2Config, rows: list[dict[str, Tensor]], steps: int, learning_rate: float, seed: int,
        clock: Clock) -> GPT2LMHeadModel:
    """A new model, trained. Only the place of its files, reporting, the number of steps and the seed are not defaults
    (the learning rate is one unless somebody asks otherwise)."""
    set_seed(seed)
    model = GPT2LMHeadModel(config)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(output_dir=folder, report_to="none", disable_tqdm=True, max_steps=steps,
                                      learning_rate=learning_rate, seed=seed)
        Trainer(model, arguments, train_dataset=rows, callbacks=[clock]).train()
    return model


def steps_that_fit(step_seconds: float, until: float) -> int:
    return max(1, int((until - time.perf_counter()) / step_seconds))


@torch.no_grad()
def nats(model: GPT2LMHeadModel, ids: Tensor, context: int) -> float:
    """Over all tokens, in windows of the context that follow one another. The very first token, which nothing comes
    before, is counted as a guess."""
    model.eval()
    total = math.log(model.config.vocab_size)
    starts = range(0, len(ids) - 1, context)
    windows = [(ids[i:i + context][:len(ids) - 1 - i], ids[i + 1:i + context + 1]) for i in starts]
    whole = [window for window in windows if len(window[1]) == context]
    groups = [whole[i:i + WINDOWS_AT_ONCE] for i in range(0, len(whole), WINDOWS_AT_ONCE)]
    for group in [*groups, windows[len(whole):]]:
        if group:
            inputs, targets = (torch.stack(part).to(model.device) for part in zip(*group, strict=True))
            total += F.cross_entropy(model(inputs).logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
    return total


def parse(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0, help="from the start of the process")
    for name, default in (("layers", 4), ("heads", 4), ("width", 128), ("context", 128), ("vocab-size", 2048),
                          ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--learning-rate", type=float, default=TrainingArguments.learning_rate)
    return parser.parse_args(given)


def main() -> None:
    given = parse()
    until = STARTED + 60 * given.minutes
    text = given.text.read_bytes().decode()
    cut = int((1 - HELD_OUT) * len(text))
    tokenizer = make_tokenizer(text[:cut], given.vocab_size)
    ids, held_out = (torch.tensor(tokenizer.encode(part).ids) for part in (text[:cut], text[cut:]))
    rows = make_rows(ids, given.context)
    config = GPT2Config(vocab_size=tokenizer.get_vocab_size(), n_positions=given.context, n_embd=given.width,
                        n_layer=given.layers, n_head=given.heads, bos_token_id=0, eos_token_id=0)
    trial, clock = Clock(), Clock(until)
    fit(config, rows, TRIED, given.learning_rate, given.seed, trial)
    planned = steps_that_fit(trial.step_seconds(), until)
    model = fit(config, rows, planned, given.learning_rate, given.seed, clock)
    n_bytes, stopped = len(text[cut:].encode()), clock.ends[-1] - STARTED
    print(json.dumps({
        "bits_per_byte": nats(model, held_out, given.context) / math.log(2) / n_bytes, "bytes": n_bytes,
        "tokens": len(held_out), "training_ended": stopped, "steps": len(clock.ends), "planned_steps": planned,
        "parameters": model.num_parameters(), "vocab_size": config.vocab_size, "learning_rate": given.learning_rate}))


if __name__ == "__main__":
    main()
