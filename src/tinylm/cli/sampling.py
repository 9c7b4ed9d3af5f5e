"""Sampling options of the commands that write, made from the table of sampling settings."""

from __future__ import annotations

import argparse
from typing import Any, Literal, get_args, get_origin

from tinylm.cli.flags import checked_flags, given_flags
from tinylm.config.aliases import ALIASES
from tinylm.config.sample_settings import SampleSettings, named_settings


def add_sampling_options(parser: argparse.ArgumentParser, table: type = SampleSettings) -> None:
    """Adds an option for each sampling setting. Old names of settings are options that the help does not show.

    Args:
        table: the settings.
    """
    old_names = {standard: old for old, standard in ALIASES.items()}
    for name, kind, setting in named_settings(table):
        if kind is bool:
            form: dict[str, Any] = {"action": "store_true", "default": None}
        else:
            form = {"metavar": setting.metavar or "|".join(_words(kind))}
        about = setting.help
        if get_origin(kind) in (tuple, dict):
            form["action"], about = "append", f"{about} (may be repeated)"
        parser.add_argument(_flag(name), help=about, **form)
        if name in old_names:
            parser.add_argument(_flag(old_names[name]), help=argparse.SUPPRESS, **form)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _words(kind: Any) -> list[str]:
    """The words that a setting of this type may be: "true" and "false" for a boolean.

    >>> _words(bool | Literal["never"])
    ['true', 'false', 'never']
    """
    if kind is bool:
        return ["true", "false"]
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [word for each in get_args(kind) for word in _words(each)]


def add_weight_dtype(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weight-dtype", metavar="fp32|bf16|int8",
                        help="bits of each weight while it writes; fewer are quicker and a little off (default: fp32)")
    parser.add_argument("--storage", help=argparse.SUPPRESS)


def weight_dtype_of(arguments: argparse.Namespace) -> Any:
    """The weight dtype that was asked for, else "fp32". Raises: TinyLMError: it is given by its old name, too."""
    from tinylm.config.aliases import either_name

    return either_name("weight_dtype", arguments.weight_dtype, arguments.storage) or "fp32"


def sampling_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of `SampleConfig` that were given, and the seed: None, if it was not given, means another one each
    time, whatever the model's own.

    Raises:
        TinyLMError: naming the flag, a value that cannot be.
    """
    from tinylm.config.schema import SampleConfig

    return {"seed": None, **checked_flags("sample", given_flags(arguments, SampleConfig.model_fields))}
