"""tinylm predict RUN PROMPT: the distribution of the next token."""

from __future__ import annotations

import argparse

from tinylm.cli.output import add_json, columns, note, print_json
from tinylm.cli.typed import read_typed

EXAMPLE = 'tinylm predict runs/book "It was a" --top 10'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a model folder")
    parser.add_argument("prompt", metavar="PROMPT")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="how many to show (default: 5)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    import tinylm

    lm = tinylm.load(arguments.run)
    prompt = read_typed(lm.tokenizer, arguments.prompt)
    predictions, ids = lm.predict(prompt, top=arguments.top), lm.tokenizer.encode_prompt(prompt)
    if arguments.json:
        print_json({"prompt": arguments.prompt, "ids": ids,
                    "next": [prediction._asdict() for prediction in predictions]})
        return 0
    seen = lm.config.model.context_length
    hidden = len(ids) - seen
    if hidden > 0:
        note(f"note: the prompt is {hidden} tokens longer than the {seen} that this model sees at once; only its end "
             "counts")
    longest = predictions[0].probability
    rows = [(repr(p.token) if p.token != p.token.strip() or not p.token.isprintable() else p.token,
             f"{p.probability:.3f}", "█" * max(1, round(24 * p.probability / longest))) for p in predictions]
    print("\n".join(columns(rows, right=[1])))
    return 0
