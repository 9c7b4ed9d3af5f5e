"""tinylm tokenize RUN TEXT: tokens and ids."""

from __future__ import annotations

import argparse

from tinylm.cli.flags import add_model
from tinylm.cli.output import add_json, print_json, print_unfinished
from tinylm.cli.prompts import add_text, text_of
from tinylm.cli.typed import read_typed
from tinylm.reports.table import cell, columns

EXAMPLE = 'tinylm tokenize runs/book "It was a dark night"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_text(parser, "text")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.model_folder import read_config, read_tokenizer

    text = text_of(arguments)
    config = read_config(arguments.run)  # says clearly when RUN is no model folder
    print_unfinished(arguments.run)
    tokenizer = read_tokenizer(arguments.run)
    tokenizer.line_ends = config.data.line_ends
    ids = tokenizer.encode(read_typed(tokenizer, text))
    tokens = tokenizer.tokens(ids)
    if arguments.json:
        print_json({"tokens": tokens, "ids": ids})
        return 0
    rows = [(str(id), cell(token)) for id, token in zip(ids, tokens, strict=True)]
    print("\n".join(columns([("id", "token"), *rows], right=[0])))
    return 0
