"""tinylm evaluate RUN [SOURCE]: loss, perplexity and bits a byte, beside the baselines."""

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
    from tinylm.report import table, verdict

    report = tinylm.load(arguments.run).evaluate(arguments.source)
    if arguments.json:
        print_json(report.to_dict())
        return 0
    print(f"On the {report.split} text ({report.tokens:,} tokens, {report.bytes:,} bytes):")
    print(f"  loss {report.loss:.4f} nats a token, perplexity {report.perplexity:.2f}")
    print("\n".join(f"  {line}" for line in columns(
        [("bits a byte", "")] + [(name, f"{value:.3f}") for name, value in table(report)], right=[1])))
    print(f"The model is {verdict(report)}.")
    return 0
