"""Overrides: the settings that a person gives, by section, read from files and flags, checked, and merged.

    preset < size < file, settings < single flags

Settings that nobody gave stay open here; runs/prepare.py fills them in once the text is known.
"""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinylm.config.aliases import ALIASES, standard_names
from tinylm.config.base import base_layer, check_base
from tinylm.config.chat import chat_layer, check_chat
from tinylm.config.presets import PartialConfig, preset, size
from tinylm.config.schema import FOLLOWS_FROM_TEXT, SECTIONS, known_section
from tinylm.config.section import checked_value
from tinylm.config.spelling import quote_value
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.system.paths import given_path

HORIZONS = ("steps", "epochs", "minutes")
"""The settings that fix the length of a run, of which one is given."""
FLAG_SECTIONS = {
    "tokenizer": "data", "vocab_size": "data", "documents": "data", "validation": "data", "text_field": "data",
    "skip_bad": "data", "encoding": "data", "minutes": "train", "steps": "train", "epochs": "train",
    "format": "data", "me": "data", "text": "data", "target_loss": "train", "seed": "train", "device": "train",
    "replay": "base", "lora": "base"}
"""The section of each setting that has a flag of its own."""
MAX_TOML_BYTES = 1 << 20
"""Bytes of a TOML file of settings, at most."""


def merge_overrides(*, preset_name: str = "tinylm", size_name: str | None = None,
                    layers: tuple[PartialConfig | str | Path, ...] = (), base: str | Path | None = None,
                    chat: bool = False, **flags: Any) -> dict[str, dict[str, Any]]:
    """Merges the overrides of a run: a preset, over it a size, then the layers in order, then single flags.

    Args:
        preset_name: the name of a preset.
        size_name: the name of a size; default: none.
        layers: values by section, or paths of TOML files with such values.
        base: the model folder that the run begins from, or "none"; default: what the layers say.
        chat: train on the answers of conversations; default: what the layers say.
        flags: settings with a flag of their own (`FLAG_SECTIONS`), by standard or old name; None: not given.

    Returns:
        settings by section and name, checked, as they would stand in a config.

    Raises:
        TinyLMError: a setting that cannot be, whatever the text; two horizons in one layer; a setting by both names;
            one that contradicts the base.
        TypeError: a flag that does not exist.

    >>> merge_overrides(size_name="0.1M", layers=({"train": {"steps": "1_000"}},), seed=3)["train"]
    {'steps': 1000, 'seed': 3}
    """
    given = _by_section(flags)
    merged = merge(preset(preset_name), size(size_name) if size_name else {})
    for layer in (*layers, given, base_layer(base), chat_layer(chat)):
        layer = read_toml(layer) if isinstance(layer, str | os.PathLike) else check_overrides(layer)
        if any(layer.get("train", {}).get(name) is not None for name in HORIZONS):
            for name in HORIZONS:  # a later horizon replaces an earlier one
                merged["train"].pop(name, None)
        merged = merge(merged, layer)
    several = [name for name in HORIZONS if merged["train"].get(name) is not None]
    if len(several) > 1:
        raise TinyLMError(f"{' and '.join(several)} both say how long the run is", where="train",
                          remedy="Leave out all but one")
    check_base(merged, preset_name, size_name)
    check_chat(merged)
    return merged


def _by_section(flags: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    given: dict[str, dict[str, Any]] = {}
    for name, value in standard_names(flags, FLAG_SECTIONS).items():
        if name not in FLAG_SECTIONS:
            owner = section_of(name)
            raise TypeError(f"train() has no argument {name!r}" + (
                f'; it is a setting: config={{"{owner}": {{"{name}": ...}}}}' if owner else ""))
        if value is not None:
            given.setdefault(FLAG_SECTIONS[name], {})[name] = value
    return given


def merge(*layers: PartialConfig) -> dict[str, dict[str, Any]]:
    """Merges partial configs field by field; later ones win."""
    merged: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for layer in layers:
        for section, values in layer.items():
            merged[known_section(section)].update(values)
    return merged


def check_overrides(overrides: PartialConfig) -> dict[str, dict[str, Any]]:
    """Checks settings by section, and spells them as in a config: "4" as 4, one text as a list of one, an old name as
    the standard one. None counts as not given, unless the setting may be None.

    Raises:
        TinyLMError: an unknown section or setting, a value out of its bounds, a setting by both names, or one that
            follows from the text.

    >>> check_overrides({"train": {"until": "1.5"}})
    {'train': {'target_loss': 1.5}}
    """
    if not isinstance(overrides, Mapping):
        raise TinyLMError("settings stand in sections", where="config",
                          remedy='For example {"train": {"steps": 1000}}, or the path of a TOML file')
    return {section: _checked_section(section, values) for section, values in overrides.items()}


def _checked_section(section: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise _no_section(section)
    found: dict[str, Any] = {}
    kind = SECTIONS[known_section(section)]
    for name, value in standard_names(values, kind.model_fields, section).items():
        where = f"{section}.{name}"
        if where in FOLLOWS_FROM_TEXT:
            raise TinyLMError("follows from the text", where=where, remedy=FOLLOWS_FROM_TEXT[where])
        if name in kind.model_fields and value is None and kind.model_fields[name].default is not None:
            continue
        if name not in kind.model_fields and (owner := section_of(name)):
            raise TinyLMError("there is no such setting", where=where,
                              remedy=f"It is {owner}.{ALIASES.get(name, name)}")
        found[name] = checked_value(kind, name, value, where)
    return found


def section_of(name: str) -> str:
    """The section that has a setting of this name, by its standard or old name; empty if none has."""
    name = ALIASES.get(name, name)
    return next((section for section, kind in SECTIONS.items() if name in kind.model_fields), "")


def _no_section(name: str) -> TinyLMError:
    """The error for a value outside of any section."""
    owner = section_of(name)
    if owner:
        return TinyLMError("stands outside of any section", where=str(name), remedy=f"Put it into the section {owner}: "
                           f"[{owner}] in a file, {owner}.{name} as a setting")
    if name in SECTIONS:
        return TinyLMError(f"{name} must be a [section] of settings", remedy=f"Put settings below a line [{name}]")
    return TinyLMError("there is no such section or setting", where=str(name), remedy=did_you_mean(
        str(name), [*SECTIONS, *(field for kind in SECTIONS.values() for field in kind.model_fields)]))


# ---- from a command line


def parse_setting(setting: str) -> dict[str, dict[str, Any]]:
    """Parses the value of --set.

    Raises:
        TinyLMError: as `check_overrides`; the text is not of the form section.name=value.

    >>> parse_setting("train.learning_rate=1e-3")
    {'train': {'learning_rate': 0.001}}
    """
    key, equals, value = setting.partition("=")
    section, dot, field = key.strip().replace("-", "_").partition(".")
    if not equals or not dot:
        owner = "" if dot else section_of(section)
        raise TinyLMError(f"{quote_value(setting)} is not of the form section.key=value", where="--set",
                          remedy=f"Write it as --set {owner}.{section}={value.strip() or 'VALUE'}" if owner else
                          "For example --set train.learning_rate=0.001")
    return check_overrides({section: {field: parse_value(value)}})


def parse_value(text: str) -> Any:
    """Reads a value that a person typed for a setting: a list, an object or a text in quotes as JSON; other text as it
    is, for the field to interpret.

    >>> parse_value('["a", "b"]'), parse_value("4")
    (['a', 'b'], '4')
    """
    if text.strip()[:1] in ('"', "[", "{"):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return text


# ---- from a file

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
                     (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
"""(mark, encoding). UTF-32 comes before UTF-16, whose mark is the beginning of its own."""


def read_toml(path: str | Path) -> dict[str, dict[str, Any]]:
    """Reads settings by section from a TOML file, in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Raises:
        TinyLMError: the file is missing, too long or not TOML; as `check_overrides`.
    """
    import tomllib  # a model that writes needs no TOML

    try:
        overrides = tomllib.loads(_text_of(given_path(path)))
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, str(error)) from None
    except RecursionError:
        raise _not_toml(path, "it is nested too deeply") from None
    try:
        return check_overrides(overrides)
    except TinyLMError as error:
        raise TinyLMError(error.what, where=": ".join(filter(None, (str(path), error.where))),
                           remedy=error.remedy) from None


def _text_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_TOML_BYTES + 1)
    except OSError as error:
        raise TinyLMError(f"cannot be read ({error.strerror})", where=str(path)) from None
    if len(data) > MAX_TOML_BYTES:
        raise TinyLMError(f"has more than {MAX_TOML_BYTES:,} bytes, and is no file of settings", where=str(path))
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TinyLMError(f"is not valid TOML, which is text in UTF-8: byte {error.start:,} is none", where=str(path),
                          remedy="Save it as UTF-8") from None
    return re.sub(r"\r\n?", "\n", text)


def _not_toml(path: str | Path, problem: str) -> TinyLMError:
    where, line = str(path), re.search(r" \(at line (\d+), column (\d+)\)$", problem)
    if line:
        where, problem = f"{path}, line {line[1]}, column {line[2]}", problem[:line.start()]
    return TinyLMError(f"is not valid TOML: {problem}", where=where,
                       remedy='A section is [train], a setting steps = 1000, a text stands in quotes: device = "cpu"')
