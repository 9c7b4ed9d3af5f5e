"""tinylm generate RUN PROMPT: let a model write on."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tinylm.cli.flags import add_model
from tinylm.cli.output import add_json, print_json, print_note
from tinylm.cli.prompts import add_text, text_of
from tinylm.cli.sampling import add_sampling_options, add_weight_dtype, sampling_options, weight_dtype_of
from tinylm.cli.typed import read_settings, read_typed

if TYPE_CHECKING:
    from tinylm.generation.completion import Completion, GenerationRequest
    from tinylm.lm import LanguageModel

EXAMPLE = 'tinylm generate runs/book "It was" --max-tokens 200'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_text(parser, "prompt", default="", about="how the text begins (default: from nothing)")
    add_sampling_options(parser)
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="how many texts (default: 1)")
    parser.add_argument("--logprobs", type=int, metavar="K",
                        help="with --json: how likely each token was, and the K likeliest in its place")
    add_weight_dtype(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    import tinylm
    from tinylm.errors import TinyLMError

    if arguments.samples < 1:
        raise TinyLMError(f"{arguments.samples} texts cannot be written", where="--samples",
                          remedy="Ask for at least 1")
    if arguments.logprobs is not None and not arguments.json:
        raise TinyLMError("is for programs to read", where="--logprobs", remedy="Add --json")
    given = text_of(arguments)
    lm = tinylm.load(arguments.run, weight_dtype=weight_dtype_of(arguments))
    prompt, settings = read_typed(lm.tokenizer, given), read_settings(lm, sampling_options(arguments))
    if arguments.json:
        written = lm.complete(prompt, samples=arguments.samples, logprobs=arguments.logprobs, **settings)
        first, *others = ({**_as_json(each), "prompt": given} for each in written)
        print_json({**first, "samples": [first, *others]} if others else first)
        return 0
    for number, request in enumerate(lm.generator.requests(prompt, samples=arguments.samples, **settings)):
        _write(lm, request, number)
    return 0


def _as_json(completion: Completion) -> dict[str, Any]:
    """The fields of a completion as JSON, without those that were not requested."""
    fields = {**asdict(completion), "forgotten": completion.n_dropped}  # the older name of `n_dropped`
    return {name: value for name, value in fields.items() if value is not None}


def _write(lm: LanguageModel, request: GenerationRequest, number: int) -> None:
    """Streams one text to the terminal."""
    from tinylm.system.untrusted import replace_control_codes

    pieces = lm.generator.stream_request(request)
    first = next(pieces)  # a model that is damaged is an error here, before anything is printed
    if number:
        print("\n" + "─" * 40)
    prompt = request.builder.prompt
    joint = " " if prompt and lm.tokenizer.kind == "word" else ""
    print(replace_control_codes(prompt) + joint + replace_control_codes(first), end="", flush=True)
    for piece in pieces:
        print(replace_control_codes(piece), end="", flush=True)
    print()
    if request.builder.n_dropped:
        sys.stdout.flush()
        print_note(f"note: the text is longer than the {lm.config.model.context_length} tokens that this model sees at "
                   f"once; it forgot {request.builder.n_dropped} tokens from the front")
