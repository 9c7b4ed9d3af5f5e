"""tinylm plan SOURCE: what train would do."""

from __future__ import annotations

import argparse

from tinylm.cli.output import add_json, print_json, print_note
from tinylm.cli.train import add_run_arguments, config_overrides

EXAMPLE = "tinylm plan book.txt --minutes 5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.cli import STARTED
    from tinylm.runs.prepare import plan_run
    from tinylm.system.untrusted import escape_control_codes

    prepared = plan_run(arguments.source, config_overrides(arguments), started=STARTED, log=print_note)
    if arguments.json:
        print_json(prepared.to_dict())
    else:
        print("\n".join(map(escape_control_codes, prepared.notes)))
    return 0
