"""tinylm import SOURCE OUT: a model of another program becomes a model folder."""

from __future__ import annotations

import argparse

EXAMPLE = "tinylm import Downloads/SmolLM2-135M models/smol"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a Hugging Face folder with safetensors, or a GGUF file")
    parser.add_argument("out", metavar="OUT", help="the new model folder")
    parser.add_argument("--force", action="store_true", help="replace the model that is there")


def run(arguments: argparse.Namespace) -> int:
    from tinylm.errors import command
    from tinylm.inspection.structure import total_parameters
    from tinylm.interchange.importing import import_model
    from tinylm.system.untrusted import escape_control_codes

    model = import_model(arguments.source, arguments.out, force=arguments.force)
    print(f"{total_parameters(model.config):,} parameters from {model.source}, in {arguments.out}")
    for note in model.notes:
        print(escape_control_codes(note))
    print(f"Try it: {command('generate', arguments.out, text='Once upon a time')}")
    return 0
