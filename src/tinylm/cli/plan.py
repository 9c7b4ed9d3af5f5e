"""tinylm plan SOURCE: what train would do."""

from __future__ import annotations

import argparse

from tinylm.cli.output import add_json, note, print_json
from tinylm.cli.train import add_run_arguments, chosen

EXAMPLE = "tinylm plan book.txt --minutes 5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.cli import STARTED
    from tinylm.runs.prepare import prepare
    from tinylm.system.untrusted import visible

    prepared = prepare(arguments.source, chosen(arguments), started=STARTED,
                       tell=note)
    if arguments.json:
        print_json(prepared.to_dict())
    else:
        print("\n".join(map(visible, prepared.notes)))
    return 0
