"""A long text, tokenised and trained from: megabytes a second beside `encode_batch` of tokenizers, which has all cores
and a part of the same text in pieces of 10 KB, with the very same tokenizer; and the most memory that `tinylm train`
holds from its start to its end, with a model of the size 0.8M. The target: no slower, and under 1,000 MB, however long
the text.

The text is Python's library over and over, each time in another order and with a part of its words made up anew, so
that new words keep coming as in any long text.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.harness import Run, add_pairs, fresh, in_pairs, outcome, peak_of, process, tell
from tinylm.text.corpus import open_corpus

MOST_MEGABYTES = 1000
"""Of memory."""
SIZE = "0.8M"
"""Of the model that is trained."""
SIDES = ("peer", "tinylm")
PART = 20
"""Megabytes that the peer encodes."""
PIECE = 10_000
"""Characters of its pieces, about: enough of them for both cores, and none so long that it slows down."""
MADE_UP = 0.3
"""The share of the words that are made up anew in each round."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pairs(parser, default=1)
    parser.add_argument("--megabytes", type=int, default=150, help="of text (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="that are trained (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the text is kept for the next time (default: nowhere)")
    parser.add_argument("--only", choices=SIDES, help="measure one side on --folder, in this process")


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 1 where tinylm is slower than its peer, or holds too much."""
    folder, megabytes = arguments.folder, arguments.megabytes
    if arguments.only:
        print(json.dumps({"peer": _peer, "tinylm": _ours}[arguments.only](folder, megabytes)))
        return 0
    with fresh(compiled=True) as (temporary, environment):
        folder = folder.resolve() if folder else temporary
        text = prepare(folder, megabytes)

        def side(name: str) -> Run:
            with tempfile.TemporaryDirectory(dir=temporary) as cache:
                return process("benchmarks", "large-text", "--only", name, "--folder", folder, "--megabytes", megabytes,
                               environment={**environment, "TINYLM_CACHE": cache}).json()

        pairs = in_pairs(arguments.pairs, lambda _: side("peer"), lambda _: side("tinylm"))
        trained = peak_of("tinylm", "train", text, "--size", SIZE, "--steps", arguments.steps,
                          "--set", f"train.evaluate_every={arguments.steps}", "--out", temporary / "run",
                          environment=environment)
    seconds, peak = round(trained.seconds, 1), round(trained.peak_bytes / 1e6)
    result = outcome("large-text", pairs, unit="MB/s", more_is_better=True, peer="encode_batch of tokenizers",
                     megabytes=megabytes, peak_megabytes=peak, most_megabytes=MOST_MEGABYTES, train_seconds=seconds,
                     steps=arguments.steps, size=SIZE)
    print(f"tinylm train, size {SIZE}, {arguments.steps} steps: {seconds:,} s, at most {peak:,} MB of memory (target "
          f"{MOST_MEGABYTES:,})")
    return tell(result) or int(result["ratio"] < 1 or peak > MOST_MEGABYTES)


# ---- the text


def prepare(folder: Path, megabytes: int) -> Path:
    """The text, and beside it the tokenizer that tinylm makes for it, unless both are there."""
    from tinylm.text.split import share_to_hold_out, split_corpus, train_tokenizer
    from tinylm.text.tokenizer_choice import choose_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{megabytes}.txt"
    if not path.exists():
        write_text(path, megabytes)
    if not _tokenizer(path).exists():
        corpus = open_corpus(path)
        kind, vocab_size, _ = choose_tokenizer(corpus.stats())
        train_tokenizer(split_corpus(corpus, share_to_hold_out(corpus)), kind, vocab_size=vocab_size).save(
            _tokenizer(path))
    return path


def _tokenizer(text: Path) -> Path:
    return text.with_suffix(".tokenizer.json")


def write_text(path: Path, megabytes: int) -> None:
    """The same for the same Python and size."""
    with open(path, "w", encoding="utf-8") as file:
        while file.tell() < 1_000_000 * megabytes:
            for part in rounds():
                file.write(part)
                if file.tell() >= 1_000_000 * megabytes:
                    return


def rounds() -> Iterator[str]:
    """Python's library without end, a file at a time."""
    entries: dict[str, int] = {}
    files = [np.array([entries.setdefault(word, len(entries)) for word in re.findall(r"\w+|\W+", piece.text)])
             for piece in open_corpus("python-stdlib").pieces()]
    known = np.array(list(entries), object)
    names = np.array([index for index, entry in enumerate(entries) if len(entry) > 3 and entry.isidentifier()])
    syllables = [consonant + vowel for consonant in "bcdfghklmnprstvwz" for vowel in "aeiou"]
    dice = np.random.default_rng(0)
    while True:
        words = known.copy()
        chosen = dice.choice(names, round(MADE_UP * len(names)), replace=False)
        words[chosen] = ["".join(syllables[number] for number in row[:dice.integers(2, 6)])
                         for row in dice.integers(0, len(syllables), (len(chosen), 5))]
        for number in dice.permutation(len(files)):
            yield "".join(words[files[number]])


# ---- both sides


def _ours(folder: Path, megabytes: int) -> Run:
    from tinylm.text.dataset import build_dataset
    from tinylm.text.split import share_to_hold_out, split_corpus
    from tinylm.text.tokenizer import Tokenizer

    corpus = open_corpus(folder / f"{megabytes}.txt")
    split = split_corpus(corpus, share_to_hold_out(corpus))
    tokenizer = Tokenizer.load(_tokenizer(folder / f"{megabytes}.txt"))
    began = time.perf_counter()
    dataset = build_dataset(split, tokenizer)
    seconds = time.perf_counter() - began
    n_bytes = corpus.stats().bytes
    assert dataset.validation is not None
    return {"value": round(n_bytes / 1e6 / seconds, 3), "seconds": round(seconds, 2), "bytes": n_bytes,
            "tokens": dataset.train.n_tokens + dataset.validation.n_tokens}


def _peer(folder: Path, megabytes: int) -> Run:
    import tokenizers

    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    tokenizer = tokenizers.Tokenizer.from_file(str(_tokenizer(folder / f"{megabytes}.txt")))
    part = "".join(piece.text for piece in islice(open_corpus(folder / f"{megabytes}.txt").pieces(), PART))
    pieces = re.findall(rf"(?s).{{1,{PIECE}}}[^\n]*\n|.+", part)
    began = time.perf_counter()
    found = tokenizer.encode_batch(pieces, add_special_tokens=False)
    seconds = time.perf_counter() - began
    return {"value": round(len(part.encode()) / 1e6 / seconds, 3), "seconds": round(seconds, 2),
            "bytes": len(part.encode()), "tokens": sum(map(len, found))}
