"""tinylm train SOURCE: make a model from a text."""

from __future__ import annotations

import argparse

from tinylm.cli.output import add_json, print_json
from tinylm.errors import TinyLMError
from tinylm.standard_streams import forget, patient_console

EXAMPLE = "tinylm train book.txt --minutes 5"
COMPILED = ("tinylm", "llama", "qwen3")
"""Presets whose kind of model is trained by compiled code."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser, source_is_needed=False)
    parser.add_argument("--out", metavar="RUN", help="the model folder (default: runs/ and the name of the text)")
    parser.add_argument("--force", action="store_true", help="replace the model that is in RUN (it becomes RUN.old)")
    parser.add_argument("--resume", action="store_true",
                        help="go on with RUN where it stopped; nothing else need be said again")
    add_json(parser)


def add_run_arguments(parser: argparse.ArgumentParser, *, source_is_needed: bool = True) -> None:
    """What train and plan share."""
    parser.add_argument("source", metavar="SOURCE", nargs=None if source_is_needed else "?",
                        help="a file or folder of text, jsonl, .gz, .zst, - for standard input, "
                        "or a built-in text: hello, python-reference, python-stdlib")
    parser.add_argument("--preset", default="tinylm", help="tinylm, notebook, gpt2, llama or qwen3 (default: tinylm)")
    parser.add_argument("--size", help="0.1M to 125M weights (default: what suits text and time)")
    parser.add_argument("--tokenizer", choices=("auto", "word", "char", "bpe"), help="(default: auto)")
    parser.add_argument("--vocab-size", type=int, metavar="N", help="most entries of the vocabulary")
    parser.add_argument("--documents", choices=("auto", "text", "line", "jsonl"),
                        help="what one document is: a file, a line, or a jsonl record")
    parser.add_argument("--text-field", metavar="NAME", help="the field of a jsonl record with the text")
    parser.add_argument("--validation", metavar="SHARE|FILE", type=_share_or_path,
                        help="what is held out to validate on (default: the last 0.1, at most 2 million characters)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, metavar="M", help="train for so long, start-up included (default: 5)")
    length.add_argument("--steps", type=int, metavar="N", help="train for so many updates")
    length.add_argument("--epochs", type=float, metavar="N", help="train on the text so many times")
    parser.add_argument("--until", type=float, metavar="LOSS", help="stop once the validation loss is that low")
    parser.add_argument("--seed", type=int, metavar="N", help="of first weights, order and dropout (default: 0)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="(default: auto)")
    parser.add_argument("--config", metavar="FILE.toml", help="settings by section")
    parser.add_argument("--set", action="append", default=[], metavar="section.key=value", help="any single setting")


def _share_or_path(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def chosen(arguments: argparse.Namespace) -> dict[str, dict[str, object]]:
    """The choices of the command line, by section."""
    from tinylm.choices import choices, parse_setting, read_toml

    layers = [read_toml(arguments.config)] if arguments.config else []
    layers += [parse_setting(setting) for setting in arguments.set]
    names = ("tokenizer", "vocab_size", "documents", "text_field", "validation", "minutes", "steps", "epochs", "until",
             "seed", "device")
    return choices(preset_name=arguments.preset, size_name=arguments.size, layers=tuple(layers),
                   **{name: getattr(arguments, name) for name in names})


def run(arguments: argparse.Namespace) -> int:
    from tinylm.cli import STARTED

    if arguments.preset in COMPILED and arguments.device in (None, "auto", "cpu") and not arguments.resume:
        from tinylm import beforehand  # while torch is imported

        beforehand.start()
    from tinylm.run import resume_run, train_run

    console = patient_console(stderr=arguments.json, on_failure=forget)
    if arguments.resume:
        outcome = resume_run(arguments.source, chosen(arguments), out=arguments.out, console=console, started=STARTED)
    elif arguments.source is None:
        raise TinyLMError("which text?", where="SOURCE", remedy="For example: tinylm train book.txt")
    else:
        outcome = train_run(arguments.source, chosen(arguments), out=arguments.out, force=arguments.force,
                            console=console, started=STARTED)
    if arguments.json:
        print_json(outcome.to_dict())
    return 130 if outcome.finished.reason == "interrupted" else 0
