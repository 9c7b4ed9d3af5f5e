"""Tables of the site that are made from the program: settings with their defaults, presets, sizes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from pydantic.fields import FieldInfo

from tinylm.config.presets import PRESETS, SIZES
from tinylm.config.schema import SECTIONS
from tinylm.config.spelling import expected

COUNTABLE = 1e9
"""Bounds from this number on are those of the libraries below, not of sense."""
MARK = re.compile(r"^<!-- (settings|presets|sizes)(?:: (\w+))? -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """The text of a page, each mark of a table in it replaced by the table."""
    makers = {"settings": settings, "presets": presets, "sizes": sizes}
    return MARK.sub(lambda mark: makers[mark[1]](*filter(None, [mark[2]])), markdown)


def settings(section: str) -> str:
    rows = ([f"`{name}`", values(field), default(field), field.description or ""]
            for name, field in SECTIONS[section].model_fields.items())
    return table(["setting", "values", "default", "meaning"], rows)


def values(field: FieldInfo) -> str:
    """The values that a field may hold, without the bounds that only keep a number countable."""
    bounds = [each for each in field.metadata if getattr(each, "le", 0) < COUNTABLE]
    return expected(field.annotation, bounds)


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "follows"
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"


def presets() -> str:
    rows = ([f"`{name}`", ", ".join(f"`{section}.{field}={value}`" for section, chosen in preset.items()
                                   for field, value in chosen.items()) or "none: the defaults"]
            for name, preset in PRESETS.items())
    return table(["preset", "differs in"], rows)


def sizes() -> str:
    rows = ([f"`{name}`", *map(str, shape)] for name, shape in SIZES.items())
    return table(["size", "`n_layers`", "`d_model`", "`n_heads`"], rows)


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
