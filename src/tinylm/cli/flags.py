"""Settings that have a flag of their own: checked as all settings are; an error names the flag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinylm.errors import TinyLMError


def checked_flags(section: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, as they would stand in a section of the config.

    Raises:
        TinyLMError: naming flag and field, a value that cannot be.
    """
    from tinylm.config.overrides import checked

    found: dict[str, Any] = {}
    for name, value in given.items():
        try:
            found |= checked({section: {name: value}})[section] if value is not None else {}
        except TinyLMError as error:
            flag = f"--{name.replace('_', '-')} ({error.where})"
            raise TinyLMError(error.what, where=flag, remedy=error.remedy) from None
    return found
