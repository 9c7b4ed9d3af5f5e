"""Bits a byte of short texts after some minutes: by default, which begins from the base that comes along where that
helps, against from nothing.

Each text is trained on twice, one run right after the other and at most equally long, and judged by its last tenth. A
text that by default begins from nothing is a row without a second run, for both are the same one: `--all` trains both
all the same. With --words each model writes texts, and the words that stand in a word list are counted (Debian's
package wamerican has one), and those that stand there or in the text itself, which may have names.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Run, process

MINUTES = 1.4
SAMPLES, SAMPLE_TOKENS = 20, 100
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("texts", type=Path, nargs="+", metavar="TEXT")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of each run (default: %(default)g)")
    parser.add_argument("--all", action="store_true", help="train both where the default begins from nothing")
    parser.add_argument("--words", type=Path, metavar="FILE", help="a list of words, a line each, to check samples by")


def run(arguments: argparse.Namespace) -> int:
    words = known_words(arguments.words.read_text(encoding="utf-8")) if arguments.words else frozenset[str]()
    rows = []
    for text in arguments.texts:
        rows.append(measure(text.resolve(), arguments.minutes, words, needs_both=arguments.all))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(table(rows))
    print(json.dumps({"benchmark": "base", "minutes": arguments.minutes, "unit": "bits/byte", "texts": rows}))
    return 0


def measure(text: Path, minutes: float, words: frozenset[str], *, needs_both: bool) -> Run:
    """Both runs of a text."""
    plan = process("tinylm", "plan", text, "--minutes", minutes, "--json").json()
    begins, forecast = plan["config"].get("base", {}).get("folder"), plan["forecast"]  # no section: from nothing
    row: Run = {"text": text.stem, "bytes": text.stat().st_size, "begins_from": begins or "nothing",
                "expected": forecast["bits_per_byte"],
                "expected_from_nothing": forecast.get("from_nothing_bits_per_byte")}
    if begins or needs_both:
        sides = {"from_nothing": train(text, minutes, words, "--from", "none"), "default": train(text, minutes, words)}
        ratio = sides["default"]["bits_per_byte"] / sides["from_nothing"]["bits_per_byte"]
        row |= {**sides, "change": round(ratio - 1, 4)}
    return row


def train(text: Path, minutes: float, words: frozenset[str], *options: str) -> Run:
    """One run, in a folder of its own that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model")
        done = process("tinylm", "train", text, "--minutes", minutes, "--out", model, "--json", *options)
        result = done.json()
        report = result["report"]
        row = {"bits_per_byte": round(report["bits_per_byte"], 4), "seconds": round(done.seconds, 1),
               "base": round(report["baselines"].get("base", 0.0), 4), "steps": result["step"],
               "counting": round(report["baselines"]["ngram"], 4)}
        return {**row, **written(model, words, text.read_text(encoding="utf-8"))} if words else row


def written(model: Path, words: frozenset[str], text: str) -> Run:
    """The share of the words of some samples that stand in a word list, and in it or in the text; the first sample."""
    texts = process("tinylm", "generate", model, "", "--samples", SAMPLES, "--max-tokens", SAMPLE_TOKENS,
                    "--json").json()
    samples = [each["text"] for each in texts["samples"]]
    own = words | frozenset(whole_words(text))
    return {"known_words": round(known_share(samples, words), 4), "known_or_own": round(known_share(samples, own), 4),
            "sample": samples[0]}


def known_words(listing: str) -> frozenset[str]:
    """The words of a list, in lower case.

    >>> sorted(known_words("Word\\nit's\\n"))
    ["it's", 'word']
    """
    return frozenset(line.strip().casefold() for line in listing.splitlines())


def whole_words(text: str) -> list[str]:
    """The words of a text as they stand in a list, without the first and the last one, which may be cut.

    >>> whole_words("ed. It’s a word, hal")
    ["it's", 'a', 'word']
    """
    return [word.replace("’", "'").casefold() for word in WORD.findall(text)[1:-1]]


def known_share(texts: list[str], words: frozenset[str]) -> float:
    """The share of the whole words of some texts that are in a list.

    >>> known_share(["ed. It’s a word and xyzzy, hal"], known_words("it's\\na\\nand\\nword"))
    0.8
    """
    found = [word for text in texts for word in whole_words(text)]
    return sum(word in words for word in found) / max(1, len(found))


def table(rows: list[Run]) -> str:
    lines = [f"{'text':<24}{'from nothing':>14}{'by default':>12}{'change':>9}{'seconds':>14}"]
    for row in rows:
        if "change" in row:
            nothing, ours = row["from_nothing"], row["default"]
            lines.append(f"{row['text']:<24}{nothing['bits_per_byte']:>14.3f}{ours['bits_per_byte']:>12.3f}"
                         f"{row['change']:>9.1%}{nothing['seconds']:>7.0f}{ours['seconds']:>7.0f}")
        else:
            lines.append(f"{row['text']:<24}{'begins from nothing, as --from none does':>40}")
    return "\n".join(lines)
