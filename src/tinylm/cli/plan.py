"""tinylm plan SOURCE: what train would do."""

from __future__ import annotations

import argparse
import sys

from tinylm.cli.output import add_json, print_json
from tinylm.cli.train import add_run_arguments, chosen

EXAMPLE = "tinylm plan book.txt --minutes 5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.cli import STARTED
    from tinylm.prepare import prepare

    prepared = prepare(arguments.source, chosen(arguments), started=STARTED,
                       tell=lambda line: print(line, file=sys.stderr, flush=True))
    if arguments.json:
        print_json(prepared.to_dict())
    else:
        print("\n".join(prepared.notes))
    return 0
