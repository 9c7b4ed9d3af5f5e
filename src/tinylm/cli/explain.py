"""tinylm explain RUN TEXT: how each token was expected, what each layer would say, where heads look, what speaks for a
token; and what changes without a part, with a part of another text, or by one training step."""

from __future__ import annotations

import argparse
from dataclasses import fields
from textwrap import wrap
from typing import Any

from tinylm.cli.output import add_json, print_json, print_note, print_page
from tinylm.cli.prompts import add_text, text_of, typed
from tinylm.cli.typed import read_typed
from tinylm.errors import TinyLMError
from tinylm.reports.explain_options import (
    EXPERIMENTS,
    PICTURES,
    ExplainOptions,
    plain_data,
    request_of,
    sections_of,
)

EXAMPLE = 'tinylm explain runs/book "It was a" --head 1.0'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a model folder")
    add_text(parser, "text")
    parser.add_argument("--head", metavar="L.H", help="the head whose attention is shown, such as 1.0: layer 1, head 0 "
                        "(default: the one with the largest contribution)")
    parser.add_argument("--token", metavar="TOKEN", help="the token that is followed, as text or #ID "
                        "(default: the likeliest)")
    parser.add_argument("--against", metavar="TOKEN", help="the token that it competes with (default: the second)")
    parser.add_argument("--position", type=int, default=-1, metavar="N",
                        help="what comes after this token is explained, from 0 (default: -1, the last)")
    parser.add_argument("--off", metavar="PARTS", help="switch parts off, with commas: 1.0 is a head, 1.mlp an MLP, "
                        "1.attn all heads of a layer, 1 a layer, attn and mlp those of all layers")
    parser.add_argument("--mean", action="store_true", help="what is off gives its mean instead of zero")
    parser.add_argument("--patch", metavar="TEXT", help="put activations of this other text in: each in turn, or --at")
    parser.add_argument("--at", metavar="PLACES", help="what --patch puts in: parts as for --off, or an activation, "
                        "such as layers.1.resid_post:3, where 3 is a position")
    parser.add_argument("--step", action="store_true", help="make one training step on the text, on a copy")
    parser.add_argument("--weight", metavar="NAME[I,J]", help="the weight that --step follows (default: the one with "
                        "the largest gradient)")
    parser.add_argument("--show", metavar="NAMES", help=f"what to show, with commas: {', '.join(PICTURES)}; "
                        f"{', '.join(EXPERIMENTS)} (default: the first four, or the experiment that was asked for)")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="tokens at each place (default: 3)")
    parser.add_argument("--html", metavar="FILE", help="write it as one page, which opens in any browser, offline")
    parser.add_argument("--force", action="store_true", help="replace an earlier page")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    import tinylm
    from tinylm.reports.explain_lines import terminal_width
    from tinylm.reports.explain_sections import SECTIONS

    if arguments.force and arguments.html is None:
        raise TinyLMError("says that an earlier page may be replaced, and no page is written", where="--force",
                          remedy="Add --html FILE")
    options = _options(arguments)
    shown, given = sections_of(options), text_of(arguments)
    lm = tinylm.load(arguments.run)
    text = read_typed(lm.tokenizer, given)
    other = None if options.patch is None else read_typed(lm.tokenizer, options.patch)
    asked = request_of(lm, options, text, other, width=terminal_width(), note=print_note)
    data = {name: SECTIONS[name].data(asked) for name in shown}
    if arguments.html is not None:
        _write_page(arguments, plain_data(asked, given, data))
    elif arguments.json:
        print_json(plain_data(asked, given, data))
    else:
        blocks = [SECTIONS[name].lines(found, asked) for name, found in data.items()]
        print("\n\n".join("\n".join([*wrap(title, asked.width), *lines]) for title, *lines in blocks))
    return 0


def _options(arguments: argparse.Namespace) -> ExplainOptions:
    given: dict[str, Any] = {field.name: getattr(arguments, field.name) for field in fields(ExplainOptions)}
    return ExplainOptions(**given | {name: typed(value) for name, value in given.items() if isinstance(value, str)})


def _write_page(arguments: argparse.Namespace, data: dict[str, Any]) -> None:
    from tinylm.interchange.export import name_of
    from tinylm.model_folder import model_path
    from tinylm.reports.explanation_page import write_explanation

    page = write_explanation(arguments.html, name_of(model_path(arguments.run)), data, force=arguments.force)
    print_page(page, as_json=arguments.json)
