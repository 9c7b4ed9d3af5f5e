"""tinylm predict RUN PROMPT: the distribution of the next token."""

from __future__ import annotations

import argparse

from tinylm.cli.flags import add_model
from tinylm.cli.output import add_json, print_json, print_note
from tinylm.cli.prompts import add_text, text_of
from tinylm.cli.typed import read_typed
from tinylm.reports.table import cell, columns

EXAMPLE = 'tinylm predict runs/book "It was a" --top 10'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_text(parser, "prompt")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="how many to show (default: 5)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    import tinylm

    given = text_of(arguments)
    lm = tinylm.load(arguments.run)
    prompt = read_typed(lm.tokenizer, given)
    predictions, ids = lm.predict(prompt, top=arguments.top), lm.tokenizer.encode_prompt(prompt)
    if arguments.json:
        print_json({"prompt": given, "ids": ids, "next": [prediction._asdict() for prediction in predictions]})
        return 0
    seen = lm.config.model.context_length
    hidden = len(ids) - seen
    if hidden > 0:
        print_note(f"note: the prompt is {hidden} tokens longer than the {seen} that this model sees at once; only its "
                   "end counts")
    longest = predictions[0].probability
    rows = [(cell(p.token), f"{p.probability:.3f}", "█" * max(1, round(24 * p.probability / longest)))
            for p in predictions]
    print("\n".join(columns(rows, right=[1])))
    return 0
