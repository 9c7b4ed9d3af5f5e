"""tinylm train SOURCE: make a model from a text."""

from __future__ import annotations

import argparse
import os

from tinylm.cli.flags import checked_flags, given_flags
from tinylm.cli.output import add_json, print_json
from tinylm.cli.reading import add_reading_options
from tinylm.errors import TinyLMError
from tinylm.system.standard_streams import redirect_to_null, tolerant_console

EXAMPLE = "tinylm train book.txt --minutes 5"
COMPILED_PRESETS = ("tinylm", "llama", "qwen3")
"""Presets of models that compiled code trains on a CPU."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser, source_is_needed=False)
    parser.add_argument("--out", metavar="RUN", help="the model folder (default: runs/ and the name of the text)")
    parser.add_argument("--force", action="store_true", help="replace the model that is in RUN (it becomes RUN.old)")
    parser.add_argument("--resume", action="store_true",
                        help="go on with RUN where it stopped; nothing else need be said again")
    add_json(parser)


def add_run_arguments(parser: argparse.ArgumentParser, *, source_is_needed: bool = True) -> None:
    """Adds the arguments that `train` and `plan` share."""
    parser.add_argument("source", metavar="SOURCE", nargs=None if source_is_needed else "?",
                        help="a file or folder of text (plain, .jsonl, .csv, .html, .epub, .docx, .pdf and others, "
                        "packed or not), - for standard input, or a built-in text: hello, animals, "
                        "python-reference, python-stdlib")
    parser.add_argument("--from", dest="base", metavar="MODEL", help="go on from this model folder, or from the "
                        "built-in model english, with its shape and its tokenizer; none: begin from nothing "
                        "(default: a run of minutes begins from english where that helps)")
    parser.add_argument("--lora", metavar="RANK", help="train only additions of this rank to MODEL's matrices, for "
                        "example 8 (LoRA; default: all weights)")
    parser.add_argument("--replay", metavar="SHARE", help="share of MODEL's own text to mix in, against forgetting")
    parser.add_argument("--preset", default="tinylm", help="tinylm, notebook, gpt2, llama or qwen3 (default: tinylm)")
    parser.add_argument("--size", help="0.1M to 125M weights (default: what suits text and time)")
    parser.add_argument("--tokenizer", metavar="auto|word|char|bpe", help="(default: auto)")
    parser.add_argument("--vocab-size", metavar="N", help="most entries of the vocabulary")
    add_reading_options(parser)
    parser.add_argument("--chat", action="store_true", help="SOURCE holds conversations, or questions with answers: "
                        "train a model that answers (built in: sums)")
    parser.add_argument("--text", metavar="BOOK", help="a text to read beside the conversations, to learn its language")
    parser.add_argument("--validation", metavar="SHARE|FILE",
                        help="what is held out to validate on (default: the last 0.1, at most 2 million characters)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", metavar="M", help="train for so long, start-up included (default: 5)")
    length.add_argument("--steps", metavar="N", help="train for so many updates")
    length.add_argument("--epochs", metavar="N", help="train on the text so many times")
    parser.add_argument("--target-loss", metavar="LOSS", help="stop once the validation loss is that low")
    parser.add_argument("--until", help=argparse.SUPPRESS)
    parser.add_argument("--seed", metavar="N", help="of first weights, order and dropout (default: 0)")
    parser.add_argument("--device", metavar="auto|cpu|cuda|mps", help="(default: auto)")
    parser.add_argument("--config", metavar="FILE.toml", help="settings by section")
    parser.add_argument("--set", action="append", default=[], metavar="section.key=value", help="any single setting")


def config_overrides(arguments: argparse.Namespace) -> dict[str, dict[str, object]]:
    """The settings of the command line, by section of the config. Raises: TinyLMError: one that cannot be."""
    from tinylm.config.overrides import FLAG_SECTIONS, merge_overrides, parse_setting

    layers = [arguments.config] if arguments.config is not None else []
    layers += [parse_setting(setting) for setting in arguments.set]
    flags: dict[str, object] = {}
    for name, home in FLAG_SECTIONS.items():
        flags |= checked_flags(home, given_flags(arguments, [name]))
    return merge_overrides(preset_name=arguments.preset, size_name=arguments.size, layers=tuple(layers),
                           base=arguments.base, chat=arguments.chat, **flags)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.cli import STARTED

    overrides = config_overrides(arguments)
    compiles = arguments.preset in COMPILED_PRESETS and arguments.device in (None, "auto", "cpu")
    if compiles and not arguments.resume and os.environ.get("RANK", "0") == "0":
        from tinylm.runs import precompile  # while torch is imported

        precompile.start(str(overrides["train"].get("precision", "auto")))
    from tinylm.runs.ranks import follow
    from tinylm.runs.run import resume_run, train_run
    from tinylm.training.world import joined

    console = tolerant_console(stderr=arguments.json, on_failure=redirect_to_null)
    with joined() as world:
        if world.rank:
            return 130 if follow(world) else 0
        if arguments.resume:
            result = resume_run(arguments.source, overrides, out=arguments.out, console=console, started=STARTED,
                                world=world)
        elif arguments.source is None:
            raise TinyLMError("which text?", where="SOURCE", remedy="For example: tinylm train book.txt")
        else:
            result = train_run(arguments.source, overrides, out=arguments.out, force=arguments.force, console=console,
                               started=STARTED, world=world)
    if arguments.json:
        print_json(result.to_dict())
    return 130 if result.finished.reason == "interrupted" else 0
