"""tinylm export RUN --to FORMAT OUT: a model in the format of another program."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tinylm.cli.flags import MODEL
from tinylm.cli.output import add_json, print_json, print_note
from tinylm.system.standard_streams import tolerant_console

if TYPE_CHECKING:
    from tinylm.interchange.export import Export

EXAMPLE = "tinylm export runs/book --to gguf book-gguf"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=f"{MODEL}; or an adapter (LoRA), for gguf")
    parser.add_argument("out", metavar="OUT", help="the folder of the export, which is made; of html, the file")
    parser.add_argument("--to", metavar="hf|gguf|onnx|html", required=True,
                        help="for transformers; llama.cpp, Ollama and LM Studio; ONNX Runtime and transformers.js; "
                             "one page that runs it in a browser")
    parser.add_argument("--dtype", metavar="f32|f16|q8_0",
                        help="bits of the weights: 32, 16 or 8 (default: hf and onnx f32, gguf f16; html f16, or q8_0 "
                             "from a million weights on; adapters f32)")
    parser.add_argument("--base", metavar="MODEL", help="of an adapter: the model that it was made on (default: the "
                        "one that it names)")
    parser.add_argument("--force", action="store_true", help="replace an earlier export")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.interchange.export import export
    from tinylm.runs.adapted import read_exported

    console = tolerant_console(stderr=True)
    with console.status("reading") as status:
        found = export(read_exported(arguments.run, arguments.base), arguments.to, arguments.out, dtype=arguments.dtype,
                       force=arguments.force, log=status.update)
    if arguments.json:
        print_json({"folder": str(found.folder), "dtype": found.dtype, "files": found.files, "notes": found.notes,
                    "checks": [{"reader": check.reader, "difference": check.difference, "greedy": check.greedy,
                                "same": check.same} for check in found.checks]})
    else:
        _print(found)
    return 0


def _print(found: Export) -> None:
    from tinylm.reports.table import columns
    from tinylm.system.untrusted import escape_control_codes

    print(escape_control_codes(found.folder))
    rows = [(f"  {name}", f"{n_bytes:,} bytes") for name, n_bytes in found.files.items()]
    print("\n".join(columns(rows, right=[1])))
    for check in found.checks:
        print(f"read back by {check.reader}: logits within {check.difference:.1e} of their spread, "
              f"{check.same} of {check.greedy} greedy tokens the same")
    for note in found.notes:
        print_note(f"note: {note}")
    print("\n".join(["", "For example:", *(f"  {escape_control_codes(step)}" for step in found.next_steps)]))
