"""tinylm explain RUN TEXT: how each token was expected, what each layer would say, where heads look, what speaks for a
token; and what changes without a part, with a part of another text, or by one training step."""

from __future__ import annotations

import argparse
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from tinylm.cli.output import add_json, print_json, print_note, print_page
from tinylm.cli.prompts import add_text, text_of, typed
from tinylm.cli.typed import read_typed
from tinylm.errors import TinyLMError, did_you_mean

if TYPE_CHECKING:
    from tinylm.reports.explain_sections import ExplainRequest

EXAMPLE = 'tinylm explain runs/book "It was a" --head 1.0'
PICTURES = ("tokens", "lens", "attention", "contributions")
EXPERIMENTS = ("change", "patching", "step", "parts", "neighbours")


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
    from tinylm.reports.explain_sections import SECTIONS

    if arguments.force and arguments.html is None:
        raise TinyLMError("says that an earlier page may be replaced, and no page is written", where="--force",
                          remedy="Add --html FILE")
    shown, given = _sections(arguments), text_of(arguments)
    asked = _request(arguments, given)
    data = {name: SECTIONS[name].data(asked) for name in shown}
    if arguments.html is not None:
        _write_page(arguments, _plain_data(asked, given, data))
    elif arguments.json:
        print_json(_plain_data(asked, given, data))
    else:
        blocks = [SECTIONS[name].lines(found, asked) for name, found in data.items()]
        print("\n\n".join("\n".join([*wrap(title, asked.width), *lines]) for title, *lines in blocks))
    return 0


def _plain_data(asked: ExplainRequest, given: str, data: dict[str, Any]) -> dict[str, Any]:
    """The explanation as JSON has it."""
    from tinylm.inspection.plain import plain

    text = asked.text
    return {"text": given, "ids": [*text.ids], "changes": [*text.changes], "loss": text.loss, **plain(data)}


def _write_page(arguments: argparse.Namespace, data: dict[str, Any]) -> None:
    from tinylm.interchange.export import name_of
    from tinylm.model_folder import model_path
    from tinylm.reports.explanation_page import write_explanation

    page = write_explanation(arguments.html, name_of(model_path(arguments.run)), data, force=arguments.force)
    print_page(page, as_json=arguments.json)


def _request(arguments: argparse.Namespace, given: str) -> ExplainRequest:
    """The request that the options make. Raises: TinyLMError: an option that does not fit the model or the text."""
    import tinylm
    from tinylm.config.section import whole_number
    from tinylm.inspection.places import find_head
    from tinylm.reports.explain_lines import terminal_width
    from tinylm.reports.explain_sections import ExplainRequest

    top = whole_number(arguments.top, "--top", 1)
    lm = tinylm.load(arguments.run)
    text = unchanged = lm.explain(read_typed(lm.tokenizer, given))
    other = None if arguments.patch is None else lm.explain(read_typed(lm.tokenizer, typed(arguments.patch)))
    if arguments.off is not None:
        text = text.without(arguments.off, mean=arguments.mean)
    if arguments.at is not None and other:
        text = text.patched(other, arguments.at)
    token, against = (None if name is None else lm.explainer.token_id(typed(name), option)
                      for name, option in ((arguments.token, "--token"), (arguments.against, "--against")))
    head = None if arguments.head is None else find_head(arguments.head, lm.config.model, "--head")
    return ExplainRequest(lm.explainer, unchanged, text, other, arguments.off, arguments.mean, head, token, against,
                          arguments.position, arguments.weight, top, terminal_width(), print_note)


def _sections(arguments: argparse.Namespace) -> list[str]:
    """The sections that are shown. Raises: TinyLMError: there is no such section, or an option is missing for it."""
    if arguments.at is not None and arguments.patch is None:
        raise TinyLMError("says where, and there is no other text", where="--at", remedy="Give it with --patch TEXT")
    if arguments.mean and arguments.off is None and "parts" not in (arguments.show or ""):
        raise TinyLMError("says how parts are switched off, and none is", where="--mean",
                          remedy="Name some with --off, such as --off 0.0")
    if arguments.weight and not arguments.step:
        raise TinyLMError("is a weight that a step follows, and no step is made", where="--weight",
                          remedy="Add --step")
    possible = {"change": arguments.off is not None or arguments.at is not None,
                "patching": arguments.patch is not None, "step": arguments.step}
    asked = [name for name, is_possible in possible.items() if is_possible]
    if arguments.show is None:
        return [name for name in asked if name != "patching" or arguments.at is None] or [*PICTURES]
    names = [name.strip() for name in arguments.show.split(",") if name.strip()]
    for name in names:
        if name not in (*PICTURES, *EXPERIMENTS):
            raise TinyLMError(f"there is nothing called {name!r} to show", where="--show",
                              remedy=did_you_mean(name, (*PICTURES, *EXPERIMENTS)))
        if name in possible and name not in asked:
            needed = {"change": "--off PARTS, or --patch TEXT --at PLACES", "patching": "--patch TEXT",
                      "step": "--step"}[name]
            raise TinyLMError(f"{name!r} needs an experiment", where="--show", remedy=f"Give {needed}")
    if not names:
        raise TinyLMError("names nothing", where="--show", remedy=f"Choose from: {', '.join(PICTURES + EXPERIMENTS)}")
    return list(dict.fromkeys(names))
