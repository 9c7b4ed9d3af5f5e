"""tinylm evaluate RUN [SOURCE]: loss, perplexity and bits a byte, beside the baselines; and what it copies."""

from __future__ import annotations

import argparse

from tinylm.cli.flags import add_model
from tinylm.cli.output import add_json, print_json, print_note
from tinylm.cli.reading import add_reading_options, reading_options
from tinylm.reports.table import columns

EXAMPLE = "tinylm evaluate runs/book another-book.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="a text (default: what training held out)")
    add_reading_options(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    import tinylm
    from tinylm.reports import sentences
    from tinylm.reports.sentences import (
        cautions,
        comparison,
        describe_base,
        describe_entropy,
        describe_overlap,
        rounded,
        verdict,
    )
    from tinylm.system.untrusted import escape_control_codes

    report = tinylm.load(arguments.run).evaluate(arguments.source, **reading_options(arguments))
    for sentence in report.notes:
        print_note(f"note: {sentence}")
    if arguments.json:
        print_json(report.to_dict())
        return 0
    text = "answers" if report.answers else "text"
    print(f"On the {escape_control_codes(report.split)} {text} ({report.tokens:,} tokens, {report.bytes:,} bytes):")
    print("".join(f"  {caution}\n" for caution in cautions(report)), end="")
    print(f"  loss {rounded(report.loss, 4)} nats a token, perplexity {report.perplexity:.2f}, "
          f"{rounded(report.bits_per_byte, 3)} bits a byte")
    print("\n".join(f"  {line}" for line in columns(
        [("", "nats a token", "bits a byte")]
        + [(row.name, rounded(row.nats_per_token, 4), rounded(row.bits_per_byte, 3)) for row in comparison(report)],
        right=[1, 2])))
    print(f"The model is {verdict(report)}.")
    print("".join(f"{sentence}.\n" for sentence in describe_base(report)), end="")
    print("".join(f"{sentence}\n" for sentence in describe_entropy(report)), end="")
    if report.answers:
        print(f"{sentences.describe_answers(report.answers).capitalize()}.")
        print("".join(f"  {escape_control_codes(line)}\n" for line in sentences.wrong_answers(report.answers)), end="")
    if report.copying is None:
        print("What it copies is not known: the text that it was trained on is not there any more.")
    else:
        print("Of its answers:" if report.answers else "Of a few texts that it wrote:")
        print("\n".join(f"  {escape_control_codes(line)}" for line in describe_overlap(report.copying)))
    return 0
