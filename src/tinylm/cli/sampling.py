"""The options that say how ids are chosen, for the commands that write."""

from __future__ import annotations

import argparse
from typing import Any

from tinylm.cli.flags import checked_flags, given_flags


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-tokens", metavar="N", help="most new tokens")
    parser.add_argument("--min-tokens", metavar="N", help="the text does not end before so many")
    parser.add_argument("--overflow", metavar="slide|error",
                        help="longer than the model sees: forget the front (slide, the default), or refuse")
    parser.add_argument("--prefix", action="append", metavar="TEXT",
                        help="the text begins with this: a text, or a token as #id (may be repeated)")
    parser.add_argument("--force", action="append", help=argparse.SUPPRESS)
    parser.add_argument("--greedy", action="store_true", default=None, help="always the most likely token")
    parser.add_argument("--temperature", metavar="X", help="below 1 safer, above 1 wilder")
    parser.add_argument("--top-k", metavar="K", help="only the K most likely tokens")
    parser.add_argument("--top-p", metavar="P", help="only the most likely tokens that reach P together")
    parser.add_argument("--min-p", metavar="P", help="only tokens at least P times as likely as the best")
    parser.add_argument("--typical-p", metavar="P",
                        help="only the tokens about as surprising as is to be expected that reach P together")
    parser.add_argument("--repetition-penalty", metavar="X", help="above 1: less of what was there")
    parser.add_argument("--frequency-penalty", metavar="X",
                        help="above 0: less with each time it was there")
    parser.add_argument("--presence-penalty", metavar="X", help="above 0: less once it was there")
    parser.add_argument("--banned-tokens", action="append", metavar="TOKEN",
                        help="never this token: its text, or #id (may be repeated)")
    parser.add_argument("--ban", action="append", help=argparse.SUPPRESS)
    parser.add_argument("--logit-bias", action="append", metavar="TOKEN=X",
                        help="likelier by e to the X against all others, or less if negative (may be repeated)")
    parser.add_argument("--beams", metavar="N", help="above 1: search for the likeliest text, with N beams")
    parser.add_argument("--length-penalty", metavar="X",
                        help="of beams: 1 (the default) compares averages, less favours short texts, more long ones")
    parser.add_argument("--early-stopping", metavar="true|false|never",
                        help="of beams: end with the first texts (true); where better ones are not to be expected "
                        "(false, the default); only where none could be better (never)")
    parser.add_argument("--stop", action="append", metavar="TEXT", help="end before this text (may be repeated)")
    parser.add_argument("--seed", metavar="N", help="the same seed gives the same text")


def add_weight_dtype(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weight-dtype", metavar="fp32|bf16|int8",
                        help="bits of each weight while it writes; fewer are quicker and a little off (default: fp32)")
    parser.add_argument("--storage", help=argparse.SUPPRESS)


def weight_dtype_of(arguments: argparse.Namespace) -> Any:
    """The weight dtype that was asked for, else "fp32". Raises: TinyLMError: it is given by its old name, too."""
    from tinylm.config.aliases import either_name

    return either_name("weight_dtype", arguments.weight_dtype, arguments.storage) or "fp32"


def sampling_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of SampleConfig that were given; and the seed, whose absence means another one each time, whatever the
    model's own.

    Raises:
        TinyLMError: naming the flag, a value that cannot be.
    """
    from tinylm.config.schema import SampleConfig

    return {"seed": None, **checked_flags("sample", given_flags(arguments, SampleConfig.model_fields))}
