"""States of models: ready, training, stopped, failed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tinylm import model_folder
from tinylm.reports.history import History

State = Literal["ready", "training", "stopped", "failed"]


def state_of(folder: Path | None, *, is_alive: bool, error: str | None, history: History | None) -> State:
    """The state of a model.

    Args:
        folder: of the model; None: its run has made none.
        is_alive: true if the process that was started for it runs.
        error: that its last process told; None: none.
        history: of its run; None: there is no folder.
    """
    if is_alive or (folder is not None and model_folder.is_training(folder)):
        return "training"
    if folder is None or history is None:
        return "failed"
    has_weights = (folder / model_folder.WEIGHTS).is_file()
    if history.finished is not None and history.finished.reason != "interrupted":
        return "ready" if has_weights else "failed"
    if not model_folder.has_checkpoints(folder):
        return "ready" if has_weights else "failed"
    return "failed" if error and history.finished is None else "stopped"
