"""Going on with a run that was stopped: what its folder says, and what may be different now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinylm import model_folder
from tinylm.config.overrides import HORIZONS
from tinylm.config.presets import PartialConfig
from tinylm.config.schema import BaseConfig, DataConfig, RunConfig, TrainConfig
from tinylm.config.spelling import quote_value
from tinylm.errors import TinyLMError, command
from tinylm.evaluation.base import Base
from tinylm.evaluation.training_text import (
    absolute_source,
    absolute_validation,
    open_beside,
    open_training_text,
    validation_fingerprint,
)
from tinylm.model.device import choose_device
from tinylm.planning.data import RunData
from tinylm.planning.setup import RunSetup
from tinylm.system.paths import IN_MEMORY
from tinylm.text.reading.sources import SourceLike, Texts

MAY_CHANGE = {"target_loss", "max_epochs", "shards", *HORIZONS}
"""Settings of `train` that a run may be given anew: where it ends, and in which order it adds."""


def load_setup(folder: Path, given: PartialConfig, source: SourceLike | None = None) -> tuple[RunSetup, list[str]]:
    """The setup of a run as its folder has it; and for people, how its text was read and what has been changed in it.

    Args:
        given: choices made now; where one differs from the run's own it must be one that may change, or a new path of
            the text that is validated on.
        source: the text, should it lie elsewhere by now: the new path becomes the run's own.

    Raises:
        TinyLMError: the folder holds no run, the text is not the same, or a choice cannot be changed.
    """
    before = model_folder.read_config(folder)
    _check_can_go_on(folder, before.data.source)
    config, changes = _changed_settings(before, given)
    base, base_moves = _same_base(before.base, given.get("base", {}))
    config = config.model_copy(update={"base": base})
    data, moves = _new_locations(config.data, given, source)
    tokenizer = model_folder.read_tokenizer(folder)
    if data.source == "-" and source is None:
        raise TinyLMError("its text came from standard input, and has to be given again", where=str(folder),
                          remedy=f"Pass it on: {command('train', '-', '--resume', '--out', folder)} < TEXT")
    if data.source == IN_MEMORY and source is None:
        raise TinyLMError("its texts were in memory, and have to be given again", where=str(folder),
                          remedy="--resume cannot find them; in Python: "
                                 f"tinylm.train(texts=..., resume=True, out={str(folder)!r})")

    def elsewhere(*words: str) -> str:
        return f"If it lies elsewhere now: {command('train', *words, '--resume', '--out', folder)}"

    _, split = open_training_text(data, elsewhere, is_new_location=source is not None or bool(moves),
                                       texts=source if isinstance(source, Texts) else None)
    split = replace(split, beside=open_beside(data, elsewhere))
    if isinstance(source, Texts) or str(source) == "-":  # no path to find it by
        data = data.model_copy(update={"source": before.data.source})
    data = data.model_copy(update={"validation_fingerprint": validation_fingerprint(split, data.validation)})
    config = config.model_copy(update={"data": data})
    found = Base.reopen(base) if base.replay or base.lora else None
    replay = found.replay_text() if found and base.replay else None
    setup = RunSetup.of(config, RunData.of(data, tokenizer, split, replay), choose_device(config.train.device))
    setup = setup.begun_from(found.weights) if found and base.lora else setup
    return setup, [*(f"note       {sentence}" for sentence in split.notes()), *base_moves, *moves, *changes]


def _check_can_go_on(folder: Path, source: str) -> None:
    if model_folder.has_checkpoints(folder):
        return
    anew = command("train", Path(source or "SOURCE"), "--out", folder, "--force")
    raise TinyLMError("there is no checkpoint to go on from", where=str(folder),
                      remedy=f"It can be asked as it is, if it has weights; or be trained anew: {anew}")


def _same_base(before: BaseConfig, given: Mapping[str, Any]) -> tuple[BaseConfig, list[str]]:
    """The base of the run, at its new path if one is given, and lines for people on that path.

    Raises:
        TinyLMError: another base is given than the one that the run began from.
    """
    if "folder" not in given:
        return before, []
    began = f"from {before.folder}" if before.folder else "from nothing"
    if bool(given["folder"]) != bool(before.folder):
        raise TinyLMError(f"this run began {began}, and a run that goes on cannot change that", where="--from",
                          remedy="Leave it out, or train anew with --force")
    if not before.folder:
        return before, []
    found = Base.read(given["folder"])
    if found.fingerprint != before.fingerprint:
        raise TinyLMError(f"this run began {began}, and this is another model", where=f"--from {given['folder']}",
                          remedy="Leave it out, or train anew with --force")
    moved = [f"base: {found.folder} instead of {before.folder}"] if found.folder != before.folder else []
    return before.model_copy(update={"folder": found.folder}), moved


def already_finished(setup: RunSetup, step: int, folder: Path) -> list[str]:
    """A line for people where a run has reached its end before."""
    train, steps = setup.config.train, setup.n_steps
    if train.minutes is not None or steps is None or step < steps:
        return []
    longer = ("--steps", 2 * train.steps) if train.steps else ("--epochs", f"{2 * (train.epochs or 1):g}")
    return [f"it has taken all of its {steps:,} steps; to train longer: "
            f"{command('train', '--resume', '--out', folder, *longer)}"]


def _new_locations(data: DataConfig, given: PartialConfig, source: SourceLike | None) -> tuple[DataConfig, list[str]]:
    """The paths of the texts now, and lines for people on the new ones."""
    locations = {"source": data.source if source is None else absolute_source(source)}
    validation = given.get("data", {}).get("validation")
    if isinstance(data.validation, str) and isinstance(validation, str):
        locations["validation"] = absolute_source(validation)
    lines = [f"{name}: {location} instead of {getattr(data, name)}" for name, location in locations.items()
             if location != absolute_validation(getattr(data, name)) and location not in ("-", IN_MEMORY)]
    return data.model_copy(update=locations), lines


def _changed_settings(config: RunConfig, given: PartialConfig) -> tuple[RunConfig, list[str]]:
    changes: dict[str, Any] = {}
    for section, values in given.items():
        for name, value in values.items():
            if (section, name) == ("base", "folder"):
                continue
            before = getattr(getattr(config, section), name)
            moved = name == "validation" and isinstance(value, str) and isinstance(before, str)
            if value == before or value in (None, "auto") or moved:
                continue
            if section != "train" or name not in MAY_CHANGE:
                raise TinyLMError(f"this run has {quote_value(before)}, and a run that goes on cannot change that to "
                                  f"{quote_value(value)}", where=f"{section}.{name}",
                                  remedy="Leave it out, or train anew with --force")
            if name in HORIZONS and before is None:
                counted = next(each for each in HORIZONS if getattr(config.train, each) is not None)
                raise TinyLMError(f"the length of this run is counted in {counted}", where=f"train.{name}",
                                  remedy=f"Give --{counted} instead")
            changes[name] = value
    train = TrainConfig(**{**config.train.model_dump(), **changes})
    lines = [f"{name}: {value:g} instead of {getattr(config.train, name)}" for name, value in changes.items()]
    return config.model_copy(update={"train": train}), lines
