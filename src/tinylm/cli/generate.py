"""tinylm generate RUN PROMPT: let a model write on."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tinylm.cli.output import add_json, note, print_json

if TYPE_CHECKING:
    from tinylm.generation.completion import Completion
    from tinylm.lm import LanguageModel

EXAMPLE = 'tinylm generate runs/book "It was" --max-tokens 200'
SETTINGS = ("max_tokens", "overflow", "force", "greedy", "ban", "repetition_penalty", "frequency_penalty",
            "presence_penalty", "temperature", "top_k", "top_p", "min_p", "typical_p", "beams", "length_penalty",
            "stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a model folder")
    parser.add_argument("prompt", metavar="PROMPT", nargs="?", default="", help="(default: none; a text from nothing)")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="most new tokens")
    parser.add_argument("--overflow", choices=("slide", "error"),
                        help="longer than the model sees: forget the front (slide, the default), or refuse")
    parser.add_argument("--force", action="append", metavar="TEXT",
                        help="the text begins with this: a text, or a token as #id (may be repeated)")
    parser.add_argument("--greedy", action="store_true", default=None, help="always the most likely token")
    parser.add_argument("--temperature", type=float, metavar="X", help="below 1 safer, above 1 wilder")
    parser.add_argument("--top-k", type=int, metavar="K", help="only the K most likely tokens")
    parser.add_argument("--top-p", type=float, metavar="P", help="only the most likely tokens that reach P together")
    parser.add_argument("--min-p", type=float, metavar="P", help="only tokens at least P times as likely as the best")
    parser.add_argument("--typical-p", type=float, metavar="P",
                        help="only the tokens about as surprising as is to be expected that reach P together")
    parser.add_argument("--repetition-penalty", type=float, metavar="X", help="above 1: less of what was there")
    parser.add_argument("--frequency-penalty", type=float, metavar="X",
                        help="above 0: less with each time it was there")
    parser.add_argument("--presence-penalty", type=float, metavar="X", help="above 0: less once it was there")
    parser.add_argument("--ban", action="append", metavar="TOKEN",
                        help="never this token: its text, or #id (may be repeated)")
    parser.add_argument("--logit-bias", action="append", metavar="TOKEN=X",
                        help="likelier by e to the X against all others, or less if negative (may be repeated)")
    parser.add_argument("--beams", type=int, metavar="N", help="above 1: search for the likeliest text, with N beams")
    parser.add_argument("--length-penalty", type=float, metavar="X",
                        help="of beams: 1 (the default) compares averages, less favours short texts, more long ones")
    parser.add_argument("--stop", action="append", metavar="TEXT", help="end before this text (may be repeated)")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="how many texts (default: 1)")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same text")
    parser.add_argument("--logprobs", type=int, metavar="K",
                        help="with --json: how likely each token was, and the K likeliest in its place")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    import tinylm
    from tinylm.errors import TinyLMError

    if arguments.samples < 1:
        raise TinyLMError(f"{arguments.samples} texts cannot be written", where="--samples",
                          remedy="Ask for at least 1")
    if arguments.logprobs is not None and not arguments.json:
        raise TinyLMError("is for programs to read", where="--logprobs", remedy="Add --json")
    lm = tinylm.load(arguments.run)
    settings = {name: getattr(arguments, name) for name in SETTINGS if getattr(arguments, name) is not None}
    if arguments.temperature is not None:
        settings.setdefault("greedy", False)
    settings |= {name: tuple(settings[name]) for name in ("stop", "ban", "force") if name in settings}
    if arguments.logit_bias:
        settings["logit_bias"] = dict(map(_bias, arguments.logit_bias))
    settings["seed"] = arguments.seed
    if arguments.json:
        written = lm.complete(arguments.prompt, samples=arguments.samples, logprobs=arguments.logprobs, **settings)
        first, *others = map(_as_json, written)
        print_json({**first, "samples": [first, *others]} if others else first)
        return 0
    for number in range(arguments.samples):
        seed = None if arguments.seed is None else arguments.seed + number
        _write(lm, arguments.prompt, {**settings, "seed": seed}, number)
    return 0


def _as_json(completion: Completion) -> dict[str, Any]:
    """Without what nobody asked for."""
    return {name: value for name, value in asdict(completion).items() if value is not None}


def _bias(given: str) -> tuple[str, float]:
    from tinylm.errors import TinyLMError

    token, _, number = given.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not token or not math.isfinite(value):
        raise TinyLMError(f"{given!r} is not of the form TOKEN=NUMBER", where="--logit-bias",
                          remedy="For example --logit-bias the=2.5, or --ban for never")
    return token, value


def _write(lm: LanguageModel, prompt: str, settings: dict[str, Any], number: int) -> Completion:
    """Streams one text to the terminal."""
    from tinylm.untrusted import harmless

    steps = lm.complete_stepwise(prompt, **settings)
    first = next(steps)  # a prompt that cannot be read is an error here, before anything is printed
    if number:
        print("\n" + "─" * 40)
    joint = " " if prompt and lm.tokenizer.kind == "word" else ""
    print(harmless(prompt) + joint + harmless(first), end="", flush=True)
    while True:
        try:
            print(harmless(next(steps)), end="", flush=True)
        except StopIteration as end:
            completion: Completion = end.value
            break
    print()
    if completion.forgotten:
        sys.stdout.flush()
        note(f"note: the text is longer than the {lm.config.model.context_length} tokens that this model sees at once; "
             f"it forgot {completion.forgotten} tokens from the front")
    return completion
