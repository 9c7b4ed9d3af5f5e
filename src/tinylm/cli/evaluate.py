"""tinylm evaluate RUN [SOURCE]: loss, perplexity and bits a byte, beside the baselines; and what it copies."""

from __future__ import annotations

import argparse

from tinylm.cli.output import add_json, columns, print_json

EXAMPLE = "tinylm evaluate runs/book another-book.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a model folder")
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="a text (default: what training held out)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    import tinylm
    from tinylm.report import say_copied, standings, verdict
    from tinylm.untrusted import visible

    report = tinylm.load(arguments.run).evaluate(arguments.source)
    if arguments.json:
        print_json(report.to_dict())
        return 0
    print(f"On the {visible(report.split)} text ({report.tokens:,} tokens, {report.bytes:,} bytes):")
    print(f"  loss {report.loss:.4f} nats a token, perplexity {report.perplexity:.2f}, "
          f"{report.bits_per_byte:.3f} bits a byte")
    print("\n".join(f"  {line}" for line in columns(
        [("", "nats a token", "bits a byte")]
        + [(row.name, f"{row.nats_per_token:.4f}", f"{row.bits_per_byte:.3f}") for row in standings(report)],
        right=[1, 2])))
    print(f"The model is {verdict(report)}.")
    if report.copying is None:
        print("What it copies is not known: the text that it was trained on is not there any more.")
    else:
        print("Of a few texts that it wrote:")
        print("\n".join(f"  {visible(line)}" for line in say_copied(report.copying)))
    return 0
