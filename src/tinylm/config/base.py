"""The settings of fine-tuning: what a run takes from its base, and choices that contradict that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from tinylm.config.presets import PartialConfig, preset
from tinylm.errors import TinyLMError

CHOSEN_BESIDE_A_BASE = {"dropout", "context_length"}
"""The settings of `model` that no base fixes; the others are its shape."""
TOKENIZER = {"tokenizer", "vocab_size", "unknown_token"}
"""The settings of `data` that make a tokenizer, which a base brings along."""


def is_of_base(section: str, name: str) -> bool:
    """True for a setting that a fine-tuned model has from its base: its shape and its tokenizer.

    >>> is_of_base("model", "d_model"), is_of_base("model", "dropout"), is_of_base("data", "tokenizer")
    (True, False, True)
    """
    return name in TOKENIZER if section == "data" else section == "model" and name not in CHOSEN_BESIDE_A_BASE


def base_layer(base: str | os.PathLike[str] | None) -> PartialConfig:
    """The settings by section that a base as people name it stands for; none for None.

    Raises:
        TinyLMError: it is no path.

    >>> base_layer("runs/book")
    {'base': {'folder': 'runs/book'}}
    """
    if base is None:
        return {}
    if not isinstance(base, str | os.PathLike) or not str(base):
        raise TinyLMError("a base is the path of a model folder, or none", where="base",
                          remedy="Save a model first: lm.save(FOLDER)")
    return {"base": {"folder": str(base)}}


def check_base(chosen: PartialConfig, preset_name: str, size_name: str | None) -> None:
    """Raises: TinyLMError: a choice contradicts the base."""
    if not chosen["base"].get("folder"):
        return
    without = "Leave it out, or begin from nothing: --from none"
    if preset(preset_name) or size_name is not None:
        where, value = ("--size", size_name) if size_name is not None else ("--preset", preset_name)
        raise TinyLMError(f"{value} is a shape, and a model that goes on from a base has the shape of the base",
                          where=where, remedy=without)
    for section, name in _contradictions(chosen):
        what = "tokenizer" if section == "data" else "shape"
        raise TinyLMError(f"a model that goes on from a base has the {what} of the base", where=f"{section}.{name}",
                          remedy=without)


def leaves_base_open(chosen: PartialConfig) -> bool:
    """True if nobody said what a run begins from, and nothing else that was chosen says it: a tokenizer, a shape, or a
    length in steps or epochs, as experiments and lessons have.

    >>> leaves_base_open({"base": {}, "train": {"minutes": 3.0}, "data": {"tokenizer": "auto"}})
    True
    >>> leaves_base_open({"base": {}, "train": {"steps": 3}}), leaves_base_open({"base": {"folder": ""}, "train": {}})
    (False, False)
    """
    counted = any(chosen["train"].get(name) for name in ("steps", "epochs"))
    return not (counted or "folder" in chosen["base"] or any(_contradictions(chosen)))


def _contradictions(chosen: PartialConfig) -> Iterator[tuple[str, str]]:
    """Yields section and name of each choice that a base has made already."""
    for section, values in chosen.items():
        for name, value in values.items():
            if is_of_base(section, name) and not _is_open(name, value):
                yield section, name


def _is_open(name: str, value: Any) -> bool:
    """True for a value that leaves the choice open."""
    return value is None or (name == "tokenizer" and value == "auto")
