"""A person's choices by section: read from settings and files, checked, and laid over each other.

    preset < size < file, settings < single flags

Nothing here fills in what nobody chose; `prepare.py` does, once the text is known.
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
from tinylm.config.presets import PartialConfig, preset, size
from tinylm.config.schema import FOLLOWS_FROM_TEXT, SECTIONS, known_section
from tinylm.config.section import checked_value
from tinylm.config.spelling import quote_value
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.system.paths import given_path

HORIZONS = ("steps", "epochs", "minutes")
"""Each says how long a run is; one of them is chosen."""
FLAG_SECTIONS = {
    "tokenizer": "data", "vocab_size": "data", "documents": "data", "validation": "data", "text_field": "data",
    "skip_bad": "data", "encoding": "data", "minutes": "train", "steps": "train", "epochs": "train",
    "target_loss": "train", "seed": "train", "device": "train"}
"""The section of each setting that has a flag of its own."""
MAX_TOML_BYTES = 1 << 20
"""Bytes of a file of settings."""


def merge_overrides(*, preset_name: str = "tinylm", size_name: str | None = None,
                    layers: tuple[PartialConfig | str | Path, ...] = (), **flags: Any) -> dict[str, dict[str, Any]]:
    """A person's choices by section: a preset, over it a size, files and settings in order, and single flags.

    Args:
        layers: values by section, or the path of a TOML file with such.

    Raises:
        TinyLMError: a choice that cannot stand, whatever the text.
    """
    given: dict[str, dict[str, Any]] = {}
    for name, value in standard_names(flags, FLAG_SECTIONS).items():
        if name not in FLAG_SECTIONS:
            home = section_of(name)
            raise TypeError(f"train() has no argument {name!r}" + (
                f'; it is a setting: config={{"{home}": {{"{name}": ...}}}}' if home else ""))
        if value is not None:
            given.setdefault(FLAG_SECTIONS[name], {})[name] = value
    merged = merge(preset(preset_name), size(size_name) if size_name else {})
    for layer in (*layers, given):
        layer = read_toml(layer) if isinstance(layer, str | os.PathLike) else check_overrides(layer)
        if any(layer.get("train", {}).get(name) is not None for name in HORIZONS):
            for name in HORIZONS:  # a later horizon replaces an earlier one
                merged["train"].pop(name, None)
        merged = merge(merged, layer)
    several = [name for name in HORIZONS if merged["train"].get(name) is not None]
    if len(several) > 1:
        raise TinyLMError(f"{' and '.join(several)} both say how long the run is", where="train",
                          remedy="Leave out all but one")
    return merged


def merge(*layers: PartialConfig) -> dict[str, dict[str, Any]]:
    """PartialConfig configs laid over each other; later ones win, field by field."""
    merged: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for layer in layers:
        for section, values in layer.items():
            merged[known_section(section)].update(values)
    return merged


def check_overrides(chosen: PartialConfig) -> dict[str, dict[str, Any]]:
    """The same choices as they would stand in a config: "4" as 4, one text as a list of one. What is None counts as not
    chosen, unless its field may be none.

    Raises:
        TinyLMError: an unknown section or field, a value out of its bounds, or one that is not a person's to choose.
    """
    if not isinstance(chosen, Mapping):
        raise TinyLMError("settings stand in sections", where="config",
                          remedy='For example {"train": {"steps": 1000}}, or the path of a TOML file')
    return {section: _checked_section(section, values) for section, values in chosen.items()}


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
        if name not in kind.model_fields and (home := section_of(name)):
            raise TinyLMError("there is no such setting", where=where, remedy=f"It is {home}.{ALIASES.get(name, name)}")
        found[name] = checked_value(kind, name, value, where)
    return found


def section_of(name: str) -> str:
    """The section that has a setting of this name, an old one or the standard one; empty: none has."""
    name = ALIASES.get(name, name)
    return next((section for section, kind in SECTIONS.items() if name in kind.model_fields), "")


def _no_section(name: str) -> TinyLMError:
    """The error for a value that stands where a section should."""
    home = section_of(name)
    if home:
        return TinyLMError("stands outside of any section", where=str(name), remedy=f"Put it into the section {home}: "
                           f"[{home}] in a file, {home}.{name} as a setting")
    if name in SECTIONS:
        return TinyLMError(f"{name} must be a [section] of settings", remedy=f"Put settings below a line [{name}]")
    return TinyLMError("there is no such section or setting", where=str(name), remedy=did_you_mean(
        str(name), [*SECTIONS, *(field for kind in SECTIONS.values() for field in kind.model_fields)]))


# ---- from a command line


def parse_setting(setting: str) -> dict[str, dict[str, Any]]:
    """`train.learning_rate=1e-3` -> {"train": {"learning_rate": 0.001}}. Raises: TinyLMError: as `check_overrides`."""
    key, equals, value = setting.partition("=")
    section, dot, field = key.strip().replace("-", "_").partition(".")
    if not equals or not dot:
        home = "" if dot else section_of(section)
        raise TinyLMError(f"{quote_value(setting)} is not of the form section.key=value", where="--set",
                          remedy=f"Write it as --set {home}.{section}={value.strip() or 'VALUE'}" if home else
                          "For example --set train.learning_rate=0.001")
    return check_overrides({section: {field: parse_value(value)}})


def parse_value(text: str) -> Any:
    """The value that a person typed for a setting. A list, an object or a text in quotes is read as JSON; other text
    stands for itself, and the field decides what it means."""
    if text.strip()[:1] in ('"', "[", "{"):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return text


# ---- from a file

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
"""Byte order marks and what they tell. That of UTF-32 begins like that of UTF-16."""


def read_toml(path: str | Path) -> dict[str, dict[str, Any]]:
    """A partial config from a TOML file, in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Raises:
        TinyLMError: the file is missing, is not TOML, or has an unknown section or key.
    """
    import tomllib  # who writes texts reads no such file

    try:
        chosen = tomllib.loads(_text_of(given_path(path)))
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, str(error)) from None
    except RecursionError:
        raise _not_toml(path, "it is nested too deeply") from None
    try:
        return check_overrides(chosen)
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
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
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
