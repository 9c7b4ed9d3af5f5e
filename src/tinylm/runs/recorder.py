"""Recorder of a run: a line on the disk for each event, and now and then a checkpoint."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.planning.forecast import SAVING_SHARE
from tinylm.system.files import flush, fsync, write_remedy
from tinylm.training.checkpoint import Checkpoints, State, Tensors
from tinylm.training.diagnostics.nonfinite import all_finite
from tinylm.training.events import Event, Sampled, to_json_line
from tinylm.training.loop import Training

Publish = Callable[[Path, Path, Tensors], None]
MIN_SAVE_INTERVAL = 1.0
"""Seconds between two saves, at least."""


class Recorder:
    """The records of one run, open for writing. A context manager.

    Args:
        folder: the run's.
        started: a reading of time.perf_counter: what the run has used is counted from here.
        publish: makes parameters the folder's model: gets the folder, the file of the checkpoint that holds them, and
            themselves.
    """

    def __init__(self, folder: Path, started: float, publish: Publish) -> None:
        self.folder, self.started, self._publish = folder, started, publish
        self.save_seconds = 0.0
        """Seconds that the last save took."""
        self._next_save = time.perf_counter() + MIN_SAVE_INTERVAL
        self._best_step = -1
        self._open = ExitStack()

    def __enter__(self) -> Recorder:
        self._files = {kind: self._open.enter_context(_open_to_append(self.folder / kind))
                       for kind in (model_folder.METRICS, model_folder.SAMPLES)}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._open.close()
        except OSError as error:
            if kind is None:
                raise _write_error(error, self.folder) from None

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / model_folder.CHECKPOINTS)

    # ---- writing

    def write(self, event: Event) -> None:
        """Raises: TinyLMError: the disk is full, or failed."""
        kind = model_folder.SAMPLES if isinstance(event, Sampled) else model_folder.METRICS
        try:
            self._files[kind].write(to_json_line(event))
        except OSError as error:
            raise _write_error(error, self.folder / kind) from None

    def is_due(self) -> bool:
        """True if a checkpoint is due: as often as saving takes about a hundredth of the time."""
        return time.perf_counter() >= self._next_save

    def save(self, training: Training) -> None:
        """A checkpoint of this moment, unless a number in it is not finite.

        Raises:
            TinyLMError: the disk is full, or failed.
        """
        began = time.perf_counter()
        state = training.state()
        if not all_finite(tensor for tensors in state.tensors.values() for tensor in tensors.values()):
            return
        records = {"seconds": began - self.started}
        for kind, file in self._files.items():
            try:
                _sync(file)
            except OSError as error:
                raise _write_error(error, self.folder / kind) from None
            records[kind] = os.fstat(file.fileno()).st_size
        checkpoint = self.checkpoints.save(State(state.tensors, {**state.numbers, "records": records}))
        self._publish_best_weights(checkpoint, state)
        self.save_seconds = time.perf_counter() - began
        self._next_save = time.perf_counter() + max(MIN_SAVE_INTERVAL, self.save_seconds / SAVING_SHARE)

    def _publish_best_weights(self, checkpoint: Path, state: State) -> None:
        """The best weights so far are the folder's model while the run goes on, should anyone want to ask it. Where
        another program has the model open, the next save tries again."""
        best_step = state.numbers["best_step"]
        if state.numbers["best_loss"] is None or best_step == self._best_step:
            return
        name = "best" if "best" in state.tensors else "weights"
        try:
            self._publish(self.folder, checkpoint / f"{name}.safetensors", state.tensors[name])
        except PermissionError:
            return
        except OSError as error:
            raise _write_error(error, self.folder / model_folder.WEIGHTS) from None
        self._best_step = best_step

    # ---- going on

    def load_last_good(self) -> State:
        """The last checkpoint. The records stay as they are: the rollback is in them."""
        state, _ = self.checkpoints.load()
        state.numbers.pop("records")
        return state

    def resume(self) -> tuple[State, float, list[str]]:
        """The last checkpoint, with the records as they were then; `started` is moved by the time used until then.

        Call it before the recorder is entered. Returns the state, the seconds used, and lines for people.

        Raises:
            TinyLMError: there is no intact checkpoint, or the records cannot be written.
        """
        state, lines = self.checkpoints.load()
        records = state.numbers.pop("records")
        self.started -= records["seconds"]
        for kind in (model_folder.METRICS, model_folder.SAMPLES):
            try:
                lines += _truncate_records(self.folder / kind, records[kind])
            except OSError as error:
                raise _write_error(error, self.folder / kind) from None
        return state, records["seconds"], lines


def _truncate_records(path: Path, size: int) -> list[str]:
    """Takes back what was recorded after a checkpoint: it will happen, and be recorded, again."""
    path.touch()
    found = path.stat().st_size
    if found < size:
        with _open_to_append(path) as file:
            file.write("\n")  # after a line that may be cut off
        return [f"{path.name} has lost {size - found:,} bytes: what they told is missing"]
    os.truncate(path, size)
    fsync(path)
    return []


def _open_to_append(path: Path) -> IO[str]:
    return path.open("a", encoding="utf-8", newline="\n")


def _sync(file: IO[str]) -> None:
    file.flush()
    flush(file.fileno())


def _write_error(error: OSError, path: Path) -> TinyLMError:
    return TinyLMError(f"could not be written ({error.strerror})", where=str(path),
                       remedy=f"{write_remedy(error)}; the checkpoints are intact")
