"""The command line that makes a run again, from its config alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinylm.config.base import is_of_base
from tinylm.config.schema import FOLLOWS_FROM_TEXT, SECTIONS, RunConfig
from tinylm.config.section import Section
from tinylm.errors import command
from tinylm.system.paths import IN_MEMORY

FLAGS = {"folder": "base", "lora": "base", "replay": "base", "tokenizer": "data", "vocab_size": "data",
         "steps": "train", "epochs": "train", "minutes": "train", "seed": "train"}
"""The settings that are written as flags, in this order, and their sections."""


def repeat_command(config: RunConfig, out: Path | None = None) -> str:
    """The command line of `RunConfig.command`."""
    source = "SOURCE" if config.data.source in ("", IN_MEMORY) else config.data.source
    words: list[object] = [source if source == "-" else Path(source), *(("--out", out) if out else ())]
    for name, home in FLAGS.items():
        value = getattr(getattr(config, home), name)
        if (value not in (None, "") and (name, value) not in (("seed", 0), ("replay", 0), ("lora", 0))
                and not (config.base.folder and is_of_base(home, name))):
            flag = "from" if name == "folder" else name.replace("_", "-")
            words += [f"--{flag}", f"{value:g}" if isinstance(value, float) else value]
    for name, section in SECTIONS.items():
        for field, value in _non_defaults(section, getattr(config, name)).items():
            if (field not in FLAGS and f"{name}.{field}" not in FOLLOWS_FROM_TEXT
                    and not (config.base.folder and is_of_base(name, field))):
                words += ["--set", f"{name}.{field}={_as_setting(value)}"]
    return command("train", *words) + (" < TEXT" if source == "-" else "")


def _non_defaults(kind: type[Section], section: Section) -> dict[str, Any]:
    """The fields whose values differ from their defaults, given the values of the fields before them."""
    found: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        value = getattr(section, name)
        default = field.get_default(call_default_factory=True, validated_data=found | _defaults(kind, found))
        if field.is_required() or value != default:
            found[name] = value
    return found


def _defaults(kind: type[Section], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: field.default for name, field in kind.model_fields.items()
            if name not in given and not field.is_required() and field.default_factory is None}


def _as_setting(value: Any) -> str:
    """A value as `--set` reads it: JSON, or a text that is not JSON as it stands."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except json.JSONDecodeError:
        return value
    return json.dumps(value)
