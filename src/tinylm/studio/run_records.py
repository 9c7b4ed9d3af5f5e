"""Records of the runs that a studio has started: the process of each, and its log, by which a later studio finds it."""

from __future__ import annotations

import json
import os
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tinylm.errors import TinyLMError
from tinylm.studio.workspace import Workspace
from tinylm.system.files import write_atomically
from tinylm.system.processes import Process, is_alive
from tinylm.system.untrusted import read_json, replace_control_codes

KIND = "runs"
RECORD, LOG = "run.json", "log.txt"
MAX_RECORD_BYTES, LOG_BYTES, LOG_LINES = 1 << 16, 1 << 14, 40


@dataclass(frozen=True)
class RunRecord:
    """A run as it was started.

    Attributes:
        process: that trains.
        text: the name of its text.
        minutes: of the whole run; None: as the model folder says.
    """

    process: Process
    text: str
    minutes: float | None


class RunRecords:
    """The records by the name of the model.

    Args:
        workspace: where they are kept.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def names(self) -> list[str]:
        """Names of models that the studio has trained, or tried to."""
        return [name for name in os.listdir(self._workspace.kept(KIND)) if not name.startswith(".")]

    def folder(self, name: str) -> Path:
        """The folder of the record of a model whose name is known."""
        return self._workspace.kept(KIND) / name

    def log(self, name: str) -> Path:
        return self.folder(name) / LOG

    def read(self, name: str) -> RunRecord | None:
        """The record of a run; None: the studio has not started it, or its record is damaged."""
        with suppress(TinyLMError, TypeError, ValueError):
            values = read_json(self.folder(name) / RECORD, MAX_RECORD_BYTES)
            pid, started = values.pop("process")
            return RunRecord(Process(int(pid), float(started)), **values)
        return None

    def write(self, name: str, record: RunRecord) -> None:
        """Raises: OSError: it cannot be written."""
        self.folder(name).mkdir(exist_ok=True)
        write_atomically(self.folder(name) / RECORD, json.dumps(asdict(record)))

    def is_alive(self, name: str) -> bool:
        """True while the process that the studio started for a model runs."""
        record = self.read(name)
        return record is not None and is_alive(record.process)

    def log_tail(self, name: str) -> list[str]:
        """The last lines of the log."""
        with suppress(OSError), open(self.log(name), "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_BYTES))
            lines = file.read(LOG_BYTES).decode("utf-8", "replace").splitlines()
            return [replace_control_codes(line) for line in deque(lines, LOG_LINES)]
        return []

    def error(self, name: str) -> str | None:
        """The error that a run has ended with, as it told it; None: it told none."""
        lines = self.log_tail(name)
        said = next((line for line in reversed(lines) if line.startswith("tinylm: ")), "")
        if said == "tinylm: stopped":
            return None
        if not said and any(line.startswith("Traceback") for line in lines):
            return f"The training failed, by a mistake of this program: {lines[-1]}"
        return said.removeprefix("tinylm: ") or None
