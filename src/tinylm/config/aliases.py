"""Old names of settings, which stay accepted wherever a setting is given: config.json, TOML, --set, flags, Python.

One table and one rule: an old name is read as the standard one; a setting given by both names is an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tinylm.errors import TinyLMError

ALIASES = {"most_epochs": "max_epochs", "until": "target_loss", "accumulation": "gradient_accumulation",
           "force": "prefix", "ban": "banned_tokens", "rows": "packing", "storage": "weight_dtype"}
"""Old name -> standard name. The name of a setting is the same in every section, so no section is needed."""


def standard_names(values: Mapping[str, Any], known: Collection[str], section: str = "") -> dict[str, Any]:
    """Renames the settings of one section that go by an old name. An old name whose value is None yields to the
    standard name, since None means "not chosen".

    Args:
        values: settings by name, of one section.
        known: the standard names that the section has; any other name stays as it is.
        section: the name of the section, for errors; empty for settings outside of sections.

    Raises:
        TinyLMError: a setting is given by its old and by its standard name.

    >>> standard_names({"until": 1.5, "steps": 100}, {"target_loss", "steps"})
    {'target_loss': 1.5, 'steps': 100}
    """
    renamed: dict[str, Any] = {}
    for name, value in values.items():
        standard = ALIASES.get(name, name) if isinstance(name, str) else name
        if standard == name or standard not in known:
            if value is not None or name not in renamed:
                renamed[name] = value
        elif values.get(standard) is None:
            renamed[standard] = value
        elif value is not None:
            raise TinyLMError(f"{name} is an old name of {standard}, and both are given",
                              where=f"{section}.{standard}".lstrip("."), remedy=f"Leave out {name}")
    return renamed


def either_name(standard: str, value: Any, old_value: Any) -> Any:
    """The value of a keyword that has an old name too: None where neither is given.

    Raises:
        TinyLMError: both are given.
    """
    old = next(old for old, new in ALIASES.items() if new == standard)
    return standard_names({old: old_value, standard: value}, {standard})[standard]
