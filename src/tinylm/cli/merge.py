"""tinylm merge ADAPTER OUT: an adapter and its base become a whole model folder."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from tinylm.cli.output import add_json, print_json, print_note
from tinylm.system.standard_streams import tolerant_console

EXAMPLE = "tinylm merge runs/diary/adapter models/diary --base english"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("adapter", metavar="ADAPTER", help="a folder that peft wrote, a GGUF file of "
                        "additions, or a model trained with --lora")
    parser.add_argument("out", metavar="OUT", help="the new model folder")
    parser.add_argument("--base", metavar="MODEL", help="the model that the adapter was made on (default: the one that "
                        "it names)")
    parser.add_argument("--force", action="store_true", help="replace the model that is there")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.errors import command
    from tinylm.runs.merge import merge_adapter
    from tinylm.system.untrusted import escape_control_codes

    console, out = tolerant_console(stderr=True), arguments.out
    with console.status("reading") as status:
        found = merge_adapter(arguments.adapter, out, base=arguments.base, force=arguments.force,
                              log=status.update)
    if arguments.json:
        print_json({"folder": out, **asdict(found)})
        return 0
    print(f"{escape_control_codes(out)} holds {escape_control_codes(found.base)} with an adapter of "
          f"{found.parameters:,} parameters, added to {found.matrices} matrices.")
    if not found.is_checked:
        print_note("note: the adapter does not say on which weights it was made; that its shapes fit does not prove "
                   "that this is its base")
    print(f"\nNow try:\n  {escape_control_codes(command('generate', out))}")
    return 0
