"""A run on several ranks, as torchrun starts them: rank 0 prepares it and leads, the others train along.

Rank 0 alone reads the text, prints, samples and writes. It tells the others the plan and the state to begin with, and
then what to do next; within a training all decide together (training/controller.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tinylm import model_folder
from tinylm.config.presets import PartialConfig
from tinylm.config.schema import RunConfig
from tinylm.errors import TinyLMError, command
from tinylm.evaluation.base import Base
from tinylm.model.threads import flush_denormals
from tinylm.planning.data import fitted
from tinylm.planning.setup import RunSetup, compute_of, rows_of
from tinylm.runs.assembly import Parts, assemble, first_model
from tinylm.runs.stopping import stop_requested
from tinylm.system.standard_streams import tolerant_console
from tinylm.text.dataset import Dataset, open_ids
from tinylm.text.special_tokens import SpecialTokens
from tinylm.training.backend import Compute
from tinylm.training.evaluate import Interrupted
from tinylm.training.events import Finished
from tinylm.training.world import World, launched_size

SHARDS = 8
"""Shards of a step under torchrun where nobody chose others: 1, 2, 4 and 8 ranks have equally many each."""
VALIDATE_START, EVALUATE, TRAIN = "validate start", "evaluate", "train"
"""What rank 0 tells the others to do next."""


def is_launched() -> bool:
    """True if torchrun, or a program like it, started this process, be it the only one."""
    return "WORLD_SIZE" in os.environ


def settings_for_ranks(overrides: PartialConfig, world: World) -> dict[str, Any]:
    """The choices of a new run that torchrun starts.

    Raises:
        TinyLMError: several ranks, and another device than the CPU, or a text beside conversations; or several
            processes that are not connected.
    """
    _check_connected(world)
    train = dict(overrides["train"])
    if is_launched():
        train.setdefault("shards", SHARDS)
    if world.size > 1:
        train["device"] = _check_device(train.get("device", "auto"))
        _check_no_text(overrides["data"].get("text"))
    return {**overrides, "train": train}


def settings_to_resume(overrides: PartialConfig, folder: Path, world: World) -> PartialConfig:
    """The choices for a run that several ranks go on with. One that had a shard a core gets those of all ranks.

    Raises:
        TinyLMError: as `settings_for_ranks`.
    """
    _check_connected(world)
    if world.size == 1:
        return overrides
    before = model_folder.read_config(folder)
    _check_device(before.train.device)
    _check_no_text(before.data.text)
    shards = {} if before.train.shards else {"shards": SHARDS}
    return {**overrides, "train": {**shards, **overrides.get("train", {})}}


def _check_connected(world: World) -> None:
    """Raises: TinyLMError: this is one of several processes, which train one model by the command alone."""
    if world.size == 1 < launched_size():
        raise TinyLMError("several processes train one model by the command, and not from Python", where="torchrun",
                          remedy="Try: torchrun --nproc-per-node 2 -m tinylm train SOURCE")


def _check_device(device: str) -> str:
    """The device of a run on several ranks. Raises: TinyLMError: it is not the CPU."""
    if device not in ("auto", "cpu"):
        raise TinyLMError(f"several processes train on CPUs only, so far, and not on {device}", where="--device",
                          remedy="Leave out torchrun, or try --device cpu")
    return "cpu"


def _check_no_text(beside: str | None) -> None:
    """Raises: TinyLMError: a text is read beside conversations, which the other ranks do not have."""
    if beside:
        raise TinyLMError("a text is read beside conversations by one process alone, so far", where="--text",
                          remedy="Leave out torchrun; or train on the text first, and go on from that with --from")


def lead(setup: RunSetup, folder: Path, world: World) -> None:
    """Tells the other ranks the plan of the run."""
    if world.size == 1:
        return
    specials, compute = setup.data.dataset.train.specials, setup.compute
    world.remedy = f"Go on with: {command('train', '--resume', '--out', folder)}"
    world.share({"config": setup.config.model_dump(mode="json"), "folder": str(folder), "remedy": world.remedy,
                 "ids": os.path.abspath(setup.data.dataset.folder), "fast": compute.fast,
                 "dtype": str(compute.dtype).removeprefix("torch."),
                 "specials": [sorted(each) if isinstance(each, frozenset) else each for each in specials]})


def follow(world: World) -> bool:
    """Trains along with rank 0 until the run ends. Returns True if it was asked to stop before its time."""
    plan = world.share()
    world.remedy = plan["remedy"]
    interrupted = False
    with ExitStack() as stack:
        should_stop = stack.enter_context(stop_requested(Path(plan["folder"]), tolerant_console(quiet=True)))
        parts, compute = _assemble(plan, world, should_stop)
        parts.training.restore(world.share_state())
        stack.enter_context(flush_denormals())
        stack.enter_context(compute.running())
        while order := world.share():
            if order == EVALUATE:
                with suppress(Interrupted):
                    parts.validator(should_stop)
            elif order == VALIDATE_START:
                list(parts.training.validate_start())
            else:
                interrupted = [event.reason for event in parts.training.events()
                               if isinstance(event, Finished)] == ["interrupted"]
    return interrupted


def _assemble(plan: dict[str, Any], world: World, should_stop: Callable[[], bool]) -> tuple[Parts, Compute]:
    """The training of this rank, by the plan of rank 0."""
    config = RunConfig.from_dict(plan["config"])
    dataset = fitted(_open_ids(Path(plan["ids"]), plan["specials"]), config.model.context_length)
    base = Base.reopen(config.base) if config.base.replay or config.base.lora else None
    rows = rows_of(config, dataset.train, base.replay_text() if base and config.base.replay else None)
    compute = replace(compute_of(config, torch.device("cpu")), dtype=getattr(torch, plan["dtype"]),
                      fast=plan["fast"], world=world)
    weights = base.weights if base and config.base.lora else None
    model = first_model(config, weights, compute)
    parts = assemble(config, dataset, rows, compute, model, weights, should_stop=should_stop,
                     load_last_good=world.share_state)
    return parts, compute


def _open_ids(folder: Path, specials: list[Any]) -> Dataset:
    """Raises: TinyLMError: the ids that rank 0 made are not to be read here."""
    ids: list[Any] = [frozenset(each) if isinstance(each, list) else each for each in specials]
    if dataset := open_ids(folder, SpecialTokens(*ids)):
        return dataset
    raise TinyLMError("the ids of the text are not there for all ranks", where=str(folder),
                      remedy="Set TINYLM_CACHE to a folder that all machines see at this path")
