"""tinylm inspect RUN: the structure, every parameter tensor with its formula, memory, FLOPs."""

from __future__ import annotations

import argparse

from tinylm.cli.flags import add_model
from tinylm.cli.output import add_json, print_json, print_unfinished
from tinylm.reports.table import columns

EXAMPLE = "tinylm inspect runs/book"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.inspection.structure import breakdown, describe_run, draw, parameter_table
    from tinylm.model_folder import read_config
    from tinylm.system.untrusted import escape_control_codes

    run = read_config(arguments.run)
    print_unfinished(arguments.run)
    config, facts = run.model, describe_run(run)
    if arguments.json:
        print_json(facts)
        return 0
    print(draw(config) + "\n")
    rows = [(part.name, part.symbols, part.formula, f"{part.count:,}") for part in parameter_table(config)]
    print("\n".join(columns([("parameter", "shape in words", "formula", "count"), *rows], right=[3])))
    print(f"\n{breakdown(config)} = {facts['parameters']['total']:,} parameters")
    print(f"{facts['memory_bytes']['weights'] / 1e6:.1f} MB of weights, "
          f"{facts['memory_bytes']['kv_cache'] / 1e6:.2f} MB of keys and values for a full context, "
          f"{facts['flops_per_token']['forward'] / 1e6:.2f} MFLOP to predict a token")
    if run.base.folder:
        how = f", by additions of rank {run.base.lora} (LoRA)" if run.base.lora else ""
        print(f"fine-tuned from {escape_control_codes(run.base.folder)}, whose weights have sha256 "
              f"{escape_control_codes(run.base.fingerprint)}: shape, tokenizer and first weights are of that base, and "
              f"the training text has changed the weights{how}")
    return 0
