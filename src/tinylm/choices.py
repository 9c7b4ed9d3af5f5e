"""What a person chose, by section: read from settings and files, checked, and laid over each other.

    preset < size < file, settings < single flags

Nothing here fills in what nobody chose; `prepare.py` does, once the text is known.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from tinylm.config import FOLLOWS_FROM_TEXT, SECTIONS, Partial, known_section, preset, size
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.paths import given_path


def choices(*, preset_name: str = "tinylm", size_name: str | None = None, layers: tuple[Partial, ...] = (),
            **flags: Any) -> dict[str, dict[str, Any]]:
    """What a person chose, by section: a preset, over it a size, files and settings in order, and single flags.

    Raises:
        TinyLMError: a choice that cannot stand, whatever the text.
    """
    homes = {"tokenizer": "data", "vocab_size": "data", "documents": "data", "validation": "data", "text_field": "data",
             "skip_bad": "data", "encoding": "data",
             "minutes": "train", "steps": "train", "epochs": "train", "until": "train", "seed": "train",
             "device": "train"}
    given: dict[str, dict[str, Any]] = {}
    for name, value in flags.items():
        if name not in homes:
            raise TypeError(f"train() has no argument {name!r}")
        if value is not None:
            given.setdefault(homes[name], {})[name] = value
    merged = merge(preset(preset_name), size(size_name) if size_name else {})
    for layer in map(checked, (*layers, given)):
        if any(layer.get("train", {}).get(name) is not None for name in ("steps", "epochs", "minutes")):
            for name in ("steps", "epochs", "minutes"):  # a later horizon replaces an earlier one
                merged["train"].pop(name, None)
        merged = merge(merged, layer)
    return merged


def merge(*layers: Partial) -> dict[str, dict[str, Any]]:
    """Partial configs laid over each other; later ones win, field by field."""
    merged: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for layer in layers:
        for section, values in layer.items():
            merged[known_section(section)].update(values)
    return merged


def checked(chosen: Partial) -> Partial:
    """The same choices, each of which could stand in a config by itself.

    Raises:
        TinyLMError: an unknown section or field, a value out of its bounds, or one that is not a person's to choose.
    """
    for section, values in chosen.items():
        fields = SECTIONS[known_section(section)].model_fields
        for name, value in values.items():
            where = f"{section}.{name}"
            if name not in fields:
                raise TinyLMError("there is no such setting", where=where, remedy=did_you_mean(name, fields))
            if where in FOLLOWS_FROM_TEXT:
                raise TinyLMError("follows from the text", where=where, remedy=FOLLOWS_FROM_TEXT[where])
            _check_value(fields[name], value, where)
    return chosen


def _check_value(field: FieldInfo, value: Any, where: str) -> None:
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    try:
        TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        raise TinyLMError(f"{error.errors()[0]['msg']}, but it is {value!r}", where=where) from None


def parse_setting(setting: str) -> dict[str, dict[str, Any]]:
    """`train.learning_rate=1e-3` -> {"train": {"learning_rate": 0.001}}. Values are read as JSON, else as text."""
    key, equals, value = setting.partition("=")
    section, dot, field = key.strip().partition(".")
    if not equals or not dot:
        raise TinyLMError(f"{setting!r} is not of the form section.key=value", where="--set",
                          remedy="For example --set train.learning_rate=0.001")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        parsed = value
    chosen = {section: {field: parsed}}
    checked(chosen)
    return chosen


def read_toml(path: str | Path) -> dict[str, dict[str, Any]]:
    """A partial config from a TOML file.

    Raises:
        TinyLMError: the file is missing, is not TOML, or has an unknown section or key.
    """
    try:
        with open(given_path(path), "rb") as file:
            chosen = tomllib.load(file)
    except OSError as error:
        raise TinyLMError(f"cannot be read ({error.strerror})", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TinyLMError(f"is not valid TOML: {error}", where=str(path)) from None
    for section, values in chosen.items():
        if not isinstance(values, dict):
            raise TinyLMError(f"{section} must be a [section]", where=str(path))
    try:
        checked(chosen)
    except TinyLMError as error:
        raise TinyLMError(error.what, where=f"{path}: {error.where}", remedy=error.remedy) from None
    return chosen
