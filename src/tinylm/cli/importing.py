"""tinylm import SOURCE OUT: a model of another program becomes a model folder."""

from __future__ import annotations

import argparse

from tinylm.cli.output import add_json, print_json, print_note
from tinylm.system.standard_streams import tolerant_console

EXAMPLE = "tinylm import Downloads/SmolLM2-135M models/smol"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a Hugging Face folder with safetensors, or a GGUF file")
    parser.add_argument("out", metavar="OUT", help="the new model folder")
    parser.add_argument("--force", action="store_true", help="replace the model that is there")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.errors import command
    from tinylm.inspection.structure import total_parameters
    from tinylm.interchange.importing import import_model
    from tinylm.system.untrusted import escape_control_codes

    console, out = tolerant_console(stderr=True), arguments.out
    with console.status("reading") as status:
        model = import_model(arguments.source, out, force=arguments.force, log=status.update)
    parameters = total_parameters(model.config)
    if arguments.json:
        print_json({"folder": out, "source": model.source, "parameters": parameters, "notes": model.notes})
        return 0
    print(f"{escape_control_codes(out)} holds a model of {parameters:,} parameters, from {model.source}.")
    for note in model.notes:
        print_note(f"note: {note}")
    next_command = command("chat", out) if model.chat_format else command("generate", out, text="Once upon a time")
    print(f"\nNow try:\n  {escape_control_codes(next_command)}")
    return 0
