"""Checkpoints: all that a run needs to go on exactly where it was.

    checkpoints/000012-step-1200/
        weights.safetensors    the model
        best.safetensors       the weights that did best so far, where those are other ones
        moments.safetensors    what the optimisers remember
        state.json             everything else
        manifest.json          size and sha256 of each of these

A save writes a hidden folder, flushes every file, then the manifest, then the folder, and renames it: a checkpoint is
there whole or not at all, and the newest is the one with the highest number. What rots later, the manifest tells.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tinylm.errors import TinyLMError
from tinylm.system.files import fsync, sha256

KEPT_CHECKPOINTS = 2
"""Checkpoints that stay: the newest, and one before it should the newest rot."""
MANIFEST, NUMBERS = "manifest.json", "state.json"
_NAME = re.compile(r"(\d{6,})-step-\d+")

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError)
"""What reading a damaged checkpoint raises."""

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class State:
    """A moment of a run.

    Attributes:
        tensors: by name and file: "weights", "moments", and "best" where there are such.
        numbers: the rest, as JSON has it; `step` among it.
    """

    tensors: Mapping[str, Tensors]
    numbers: dict[str, Any]


class Checkpoints:
    """The folder of a run's checkpoints. One process at a time may hold it (model_folder.py locks the run)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: State) -> Path:
        """Writes a checkpoint and lets old ones go. Returns its folder.

        Raises:
            TinyLMError: no room, or the disk failed; the checkpoints that were there stay.
        """
        temporary = self.folder / ".new"
        try:
            number = max((int(path.name.partition("-")[0]) for path in self._all()), default=0) + 1
            place = self.folder / f"{number:06d}-step-{state.numbers['step']}"
            self._clear()
            temporary.mkdir(parents=True)
            _write(temporary, state)
            temporary.rename(place)
            fsync(self.folder)
            self._let_go_of_old(place)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise TinyLMError(f"the checkpoint of step {state.numbers['step']} could not be written "
                              f"({getattr(error, 'strerror', None) or error})", where=str(self.folder),
                              remedy="Make room there; the earlier checkpoints are intact") from None
        return place

    def load(self) -> tuple[State, list[str]]:
        """The newest checkpoint that is intact, and a sentence on each newer one that is not (and is removed).

        Raises:
            TinyLMError: there is none.
        """
        damaged: dict[Path, str] = {}
        for path in reversed(self._all()):
            try:
                state = _read(path)
            except DAMAGE as error:
                damaged[path] = f"the checkpoint {path.name} is damaged ({error}) and was passed over"
                continue
            self._let_go(damaged)
            return state, list(damaged.values())
        if damaged:
            raise TinyLMError("no checkpoint is intact: " + "; ".join(damaged.values()), where=str(self.folder),
                              remedy="Restore one from a copy, or train anew with --force")
        raise TinyLMError("there is no checkpoint to go on from", where=str(self.folder),
                          remedy="Train anew with --force")

    def _all(self) -> list[Path]:
        """Oldest first."""
        found = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)] if self.folder.is_dir() else []
        return sorted(found, key=lambda path: int(path.name.partition("-")[0]))

    def _let_go_of_old(self, newest: Path) -> None:
        """Keeps the one that has just been written and the last before it that has not rotted meanwhile."""
        kept = [newest]
        for path in reversed(self._all()):
            if path != newest and len(kept) < KEPT_CHECKPOINTS and _is_intact(path):
                kept.append(path)
        self._let_go([path for path in self._all() if path not in kept])

    def _let_go(self, paths: Iterable[Path]) -> None:
        """Under a hidden name first: a folder half deleted must not look like one that rotted."""
        for path in paths:
            path.rename(self.folder / f".gone-{path.name}")
        self._clear()

    def _clear(self) -> None:
        """Removes what an earlier process left behind when it was killed."""
        if self.folder.is_dir():
            for path in (*self.folder.glob(".new"), *self.folder.glob(".gone-*")):
                shutil.rmtree(path, ignore_errors=True)


def _write(folder: Path, state: State) -> None:
    for name, tensors in state.tensors.items():
        detached = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        save_file(detached, folder / f"{name}.safetensors", metadata={"format": "pt"})
    (folder / NUMBERS).write_text(json.dumps(state.numbers) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors makes its files readable to their owner alone
        fsync(path)
    manifest = {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    fsync(folder / MANIFEST)
    fsync(folder)


def _is_intact(folder: Path) -> bool:
    try:
        _check(folder)
    except DAMAGE:
        return False
    return True


def _check(folder: Path) -> list[str]:
    """The names of the files, each of which is as it was written. Raises: one of DAMAGE: something is not."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for name, about in manifest.items():
        path = folder / Path(name).name
        if path.stat().st_size != about["bytes"] or sha256(path) != about["sha256"]:
            raise ValueError(f"{name} has changed")
    return [Path(name).name for name in manifest]


def _read(folder: Path) -> State:
    """Raises: one of DAMAGE."""
    names = _check(folder)
    tensors = {Path(name).stem: load_file(folder / name) for name in names if name != NUMBERS}
    numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
    if not {"weights", "moments"} <= tensors.keys() or "step" not in numbers:
        raise ValueError("it is not complete")
    return State(tensors, numbers)
