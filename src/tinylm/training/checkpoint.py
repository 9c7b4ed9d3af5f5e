"""Checkpoints: everything that a run needs to go on exactly where it was.

    checkpoints/000012-step-1200/
        weights.safetensors    the model
        best.safetensors       the weights with the lowest validation loss, where those are other ones
        moments.safetensors    the optimisers' state
        state.json             everything else
        manifest.json          size and sha256 of each of these

A save writes a hidden folder, flushes every file, then the manifest, then the folder, and renames it: a checkpoint is
there whole or not at all, and the newest is the one with the highest number. Files that change later no longer fit the
manifest.
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
"""Checkpoints that stay: the newest, and one before it in case that the newest is damaged later."""
MANIFEST, NUMBERS = "manifest.json", "state.json"
_NAME = re.compile(r"(\d{6,})-step-\d+")

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError)
"""The exceptions that reading a damaged checkpoint raises."""

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class State:
    """The state of a run at one moment.

    Attributes:
        tensors: by file and name; the files are "weights", "moments", and "best" where the best weights are others.
        numbers: the rest, as JSON has it, such as `step`.
    """

    tensors: Mapping[str, Tensors]
    numbers: dict[str, Any]


class Checkpoints:
    """The folder of a run's checkpoints. One process at a time may hold it (model_folder.py locks the run).

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoints = Checkpoints(Path(folder))
    ...     path = checkpoints.save(State({"weights": {"w": torch.ones(2)}, "moments": {}}, {"step": 20}))
    ...     state, warnings = checkpoints.load()
    >>> path.name, state.numbers, state.tensors["weights"]["w"], warnings
    ('000001-step-20', {'step': 20}, tensor([1., 1.]), [])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: State) -> Path:
        """Writes a checkpoint and deletes old ones. Returns its folder.

        Raises:
            TinyLMError: the disk is full, or failed; the checkpoints that were there stay.
        """
        temporary = self.folder / ".new"
        try:
            number = max((int(path.name.partition("-")[0]) for path in self._all()), default=0) + 1
            path = self.folder / f"{number:06d}-step-{state.numbers['step']}"
            self._clear()
            temporary.mkdir(parents=True)
            _write(temporary, state)
            temporary.rename(path)
            fsync(self.folder)
            self._delete_old(path)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise TinyLMError(f"the checkpoint of step {state.numbers['step']} could not be written "
                              f"({getattr(error, 'strerror', None) or error})", where=str(self.folder),
                              remedy="Make room there; the earlier checkpoints are intact") from None
        return path

    def load(self) -> tuple[State, list[str]]:
        """Reads the newest intact checkpoint, and deletes damaged ones that are newer.

        Returns:
            the state, and a sentence on each checkpoint that was deleted.

        Raises:
            TinyLMError: no checkpoint is intact; none is deleted then.
        """
        damaged: dict[Path, str] = {}
        for path in reversed(self._all()):
            try:
                state = _read(path)
            except DAMAGE as error:
                damaged[path] = f"the checkpoint {path.name} is damaged ({error}) and was passed over"
                continue
            self._delete(damaged)
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

    def _delete_old(self, newest: Path) -> None:
        """Keeps the checkpoint that has just been written and the last intact one before it."""
        kept = [newest]
        for path in reversed(self._all()):
            if path != newest and len(kept) < KEPT_CHECKPOINTS and _is_intact(path):
                kept.append(path)
        self._delete([path for path in self._all() if path not in kept])

    def _delete(self, paths: Iterable[Path]) -> None:
        """Deletes checkpoints, under a hidden name: a folder half deleted must not look like one that is damaged."""
        for path in paths:
            path.rename(self.folder / f".gone-{path.name}")
        self._clear()

    def _clear(self) -> None:
        """Removes hidden folders, which an earlier process left behind when it was killed."""
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
    """Compares each file with the manifest, and returns their names. Raises: one of DAMAGE: a file has changed."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for name, about in manifest.items():
        path = folder / Path(name).name
        if path.stat().st_size != about["bytes"] or sha256(path) != about["sha256"]:
            raise ValueError(f"{name} has changed")
    return [Path(name).name for name in manifest]


def _read(folder: Path) -> State:
    """Reads a checkpoint. Raises: one of DAMAGE."""
    names = _check(folder)
    tensors = {Path(name).stem: load_file(folder / name) for name in names if name != NUMBERS}
    numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
    if not {"weights", "moments"} <= tensors.keys() or "step" not in numbers:
        raise ValueError("it is not complete")
    return State(tensors, numbers)
