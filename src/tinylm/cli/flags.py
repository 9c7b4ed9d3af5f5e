"""Arguments of several commands: the model, and settings that have a flag of their own. These are checked as all
settings are; an error names the flag."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from tinylm.errors import TinyLMError

MODEL = "a model folder, or a built-in model: english"


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=MODEL)


def given_flags(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The values of the flags of these settings, by standard and by old names; None for a flag that was not given."""
    from tinylm.config.aliases import ALIASES

    standard = set(names)
    both = [*standard, *(old for old, name in ALIASES.items() if name in standard)]
    return {name: getattr(arguments, name, None) for name in both}


def checked_flags(section: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, as they would stand in a section of the config.

    Raises:
        TinyLMError: naming flag and field, a value that cannot be.
    """
    from tinylm.config.aliases import standard_names
    from tinylm.config.overrides import check_overrides
    from tinylm.config.schema import SECTIONS

    found: dict[str, Any] = {}
    for name, value in standard_names(given, SECTIONS[section].model_fields, section).items():
        try:
            found |= check_overrides({section: {name: value}})[section] if value is not None else {}
        except TinyLMError as error:
            flag = f"--{name.replace('_', '-')} ({error.where})"
            raise TinyLMError(error.what, where=flag, remedy=error.remedy) from None
    return found
