"""The options that say how ids are chosen, for the commands that write."""

from __future__ import annotations

import argparse
import math
from typing import Any


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-tokens", type=int, metavar="N", help="most new tokens")
    parser.add_argument("--min-tokens", type=int, metavar="N", help="the text does not end before so many")
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
    parser.add_argument("--early-stopping", choices=("true", "false", "never"),
                        help="of beams: end with the first texts (true); where better ones are not to be expected "
                        "(false, the default); only where none could be better (never)")
    parser.add_argument("--stop", action="append", metavar="TEXT", help="end before this text (may be repeated)")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same text")


def add_storage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--storage", choices=("fp32", "bf16", "int8"), default="fp32",
                        help="bits of each weight while it writes; fewer are quicker and a little off (default: fp32)")


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of SampleConfig that were given."""
    from tinylm.config import SampleConfig

    given = {name: getattr(arguments, name, None) for name in SampleConfig.model_fields}
    settings = {name: value for name, value in given.items() if value is not None}
    if "temperature" in settings:
        settings.setdefault("greedy", False)
    if "logit_bias" in settings:
        settings["logit_bias"] = dict(map(_bias, settings["logit_bias"]))
    return settings | {"seed": arguments.seed}  # none is another one each time, whatever the model's own


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
