"""Checkpoints: everything that a run needs to go on exactly where it was.

    checkpoints/000012-step-1200/
        weights.safetensors    the model
        best.safetensors       the weights with the lowest validation loss, where those are other ones
        moments.safetensors    the optimisers' state
        state.json             everything else
        manifest.json          size and sha256 of each of these

A save writes a hidden folder, flushes every file, then the manifest, then the folder, and renames it: a checkpoint is
there whole or not at all, and the newest is the one with the highest number. Files that change later no longer fit the
manifest. Files are read into memory and not mapped: Windows deletes no file that is mapped, and a run keeps the best
weights that it has read.

Only damage that is proven makes a checkpoint worthless. A file that cannot be read just now, by an error of the disk or
because another program holds it, may be whole: nothing is deleted then, and nothing passed over.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from tinylm.errors import TinyLMError
from tinylm.model.tensor_file import write_tensors
from tinylm.system.files import fsync, patiently, sha256, write_remedy

KEPT_CHECKPOINTS = 2
"""Checkpoints that stay: the newest, and one before it in case that the newest is damaged later."""
MANIFEST, NUMBERS = "manifest.json", "state.json"
_NAME = re.compile(r"(\d{6,})-step-\d+")

FILES = ("weights.safetensors", "moments.safetensors", "best.safetensors", NUMBERS)
"""Files that a manifest may name."""
DAMAGE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, KeyError, TypeError, AttributeError,
          SafetensorError)
"""The exceptions that prove a checkpoint damaged. Any other OSError only means that it cannot be read just now."""

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
        temporary = self.folder / f".new-{secrets.token_hex(4)}"
        try:
            number = max((int(path.name.partition("-")[0]) for path in self._all()), default=0) + 1
            path = self.folder / f"{number:06d}-step-{state.numbers['step']}"
            self._clear()
            temporary.mkdir(parents=True)
            _write(temporary, state)
            patiently(temporary.rename, path)
            fsync(self.folder)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise TinyLMError(f"the checkpoint of step {state.numbers['step']} could not be written "
                              f"({error.strerror or error})", where=str(self.folder),
                              remedy=f"{write_remedy(error)}; the earlier checkpoints are intact") from None
        with suppress(OSError):  # of old ones; the new one is on the disk
            self._delete_old(path)
        return path

    def load(self) -> tuple[State, list[str]]:
        """Reads the newest intact checkpoint, and deletes damaged ones that are newer.

        Returns:
            the state, and a sentence on each checkpoint that was deleted.

        Raises:
            TinyLMError: no checkpoint is intact, or one cannot be read at the moment; none is deleted then.
        """
        damaged: dict[Path, str] = {}
        for path in self._newest_first():
            try:
                state = patiently(_read, path)
            except DAMAGE as error:
                damaged[path] = f"the checkpoint {path.name} is damaged ({error}) and was passed over"
                continue
            except OSError as error:
                raise _unreadable_error(path, error) from None
            self._delete(damaged)
            return state, list(damaged.values())
        if damaged:
            raise TinyLMError("no checkpoint is intact: " + "; ".join(damaged.values()), where=str(self.folder),
                              remedy="Restore one from a copy, or train anew with --force")
        raise TinyLMError("there is no checkpoint to go on from", where=str(self.folder),
                          remedy="Train anew with --force")

    def newest_numbers(self) -> tuple[dict[str, Any], float] | None:
        """The numbers of the newest checkpoint as they lie there, and the time of their file, for whoever watches a run
        from outside; None: there are none to be read."""
        with suppress(OSError, ValueError, IndexError):
            path = self._all()[-1] / NUMBERS
            return json.loads(path.read_bytes()), path.stat().st_mtime
        return None

    def _newest_first(self) -> list[Path]:
        """Raises: TinyLMError: the folder cannot be read at the moment."""
        try:
            return self._all()[::-1]
        except OSError as error:
            raise _unreadable_error(self.folder, error) from None

    def _all(self) -> list[Path]:
        """Oldest first."""
        found = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)] if self.folder.is_dir() else []
        return sorted(found, key=lambda path: int(path.name.partition("-")[0]))

    def _delete_old(self, newest: Path) -> None:
        """Keeps the checkpoint that has just been written and the last intact one before it; and of those between the
        two, the ones that cannot be read at the moment."""
        deleted, intact = list[Path](), 1
        for path in reversed(self._all()):
            if path == newest:
                continue
            if intact == KEPT_CHECKPOINTS:
                deleted.append(path)
                continue
            try:
                _check(path)
                intact += 1
            except DAMAGE:
                deleted.append(path)
            except OSError:
                pass
        self._delete(deleted)

    def _delete(self, paths: Iterable[Path]) -> None:
        """Deletes checkpoints, under a hidden name: a folder half deleted must not look like one that is damaged. One
        that cannot be deleted stays until the next save."""
        for path in paths:
            with suppress(OSError):
                path.rename(self.folder / f".gone-{path.name}")
        self._clear()

    def _clear(self) -> None:
        """Removes hidden folders, which an earlier process left behind when it was killed."""
        if self.folder.is_dir():
            for path in (*self.folder.glob(".new*"), *self.folder.glob(".gone-*")):
                shutil.rmtree(path, ignore_errors=True)


def _unreadable_error(path: Path, error: OSError) -> TinyLMError:
    is_checkpoint = _NAME.fullmatch(path.name) is not None
    what = f"the checkpoint {path.name} cannot be read" if is_checkpoint else "cannot be read"
    return TinyLMError(f"{what} at the moment ({error.strerror})", where=str(error.filename or path),
                       remedy="It may be whole, and nothing was deleted: try again" + is_checkpoint * (
                           f". Should it never be readable again, delete {path} to go on from the one before it"))


def _write(folder: Path, state: State) -> None:
    for name, tensors in state.tensors.items():
        write_tensors(folder / f"{name}.safetensors",
                      {key: tensor.detach().cpu().numpy() for key, tensor in tensors.items()})
    _write_text(folder / NUMBERS, json.dumps(state.numbers) + "\n")
    for path in folder.iterdir():
        fsync(path)
    manifest = {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(folder.iterdir())}
    _write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    fsync(folder / MANIFEST)
    fsync(folder)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _read_manifest(folder: Path) -> dict[str, tuple[int, str]]:
    """Bytes and sha256 of each file. Raises: one of DAMAGE; OSError: the manifest cannot be read at the moment."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    if unknown := manifest.keys() - set(FILES):
        raise ValueError(f"its manifest names {min(unknown)}")
    return {name: (about["bytes"], about["sha256"]) for name, about in manifest.items()}


def _check(folder: Path) -> None:
    """Compares each file with the manifest. Raises: as `_read_manifest`, where a file has changed as well."""
    for name, (size, digest) in _read_manifest(folder).items():
        if (folder / name).stat().st_size != size or sha256(folder / name) != digest:
            raise ValueError(f"{name} has changed")


def _read_file(path: Path, size: int, digest: str) -> bytes:
    """The bytes of a file, which must have this size and sha256. Raises: as `_check`."""
    data = path.read_bytes() if path.stat().st_size == size else b""
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{path.name} has changed")
    return data


def _read(folder: Path) -> State:
    """Reads a checkpoint. Raises: as `_check`.

    Memory: that of the state, and the largest file once more.
    """
    manifest = _read_manifest(folder)
    numbers = json.loads(_read_file(folder / NUMBERS, *manifest.pop(NUMBERS)))
    tensors = {Path(name).stem: load(_read_file(folder / name, *about)) for name, about in manifest.items()}
    if not {"weights", "moments"} <= tensors.keys() or "step" not in numbers:
        raise ValueError("it is not complete")
    return State(tensors, numbers)
