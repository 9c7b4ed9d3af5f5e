"""Histories of runs as they grow: each line of metrics.jsonl is read once, however often a page asks."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinylm import model_folder
from tinylm.reports.history import History, parse_event
from tinylm.serving.field_errors import names_the_command_line
from tinylm.training.diagnostics.doctor import Doctor, Finding

MOST_BYTES = 1 << 21
"""Bytes of the records that one answer holds."""
MOST_SAMPLES = 40


class Watch:
    """The history of one run and what the doctor says of it, as far as they are read.

    Args:
        folder: the model folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / model_folder.METRICS
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._offset, self.history = 0, History()
        self._doctor, self._findings = Doctor(), list[Finding]()

    def update(self) -> Watch:
        """Reads what is new. Records that have become shorter, since the run went back to a checkpoint, are read anew.
        """
        with self._lock, suppress(OSError):
            if self._path.stat().st_size < self._offset:
                self._forget()
            lines, self._offset = read_lines(self._path, self._offset, most=None)
            for line in lines:
                if event := parse_event(line):
                    self.history.add(event)
                    self._findings += self._doctor(event)
        return self

    def sentences(self) -> list[str]:
        """The doctor's findings; without remedies that speak of the command line."""
        return [each.sentence if not names_the_command_line(each.remedy) else
                f"{f'Step {each.step:,}: ' if each.step else ''}{each.text}." for each in self._findings]


class Histories:
    """Watches by folder."""

    def __init__(self) -> None:
        self._watches: dict[Path, Watch] = {}

    def of(self, folder: Path) -> Watch:
        """The watch of a model folder, up to date."""
        return self._watches.setdefault(folder, Watch(folder)).update()

    def forget(self, folder: Path) -> None:
        """Drops the watch of a folder that has gone to another place."""
        self._watches.pop(folder, None)


def read_lines(path: Path, offset: int, most: int | None = MOST_BYTES) -> tuple[list[str], int]:
    """Whole lines of a growing file from an offset on, and the offset after them.

    Args:
        offset: one that an earlier call gave. Any other is taken as 0.
        most: bytes; None: all.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        if offset > 0:
            file.seek(offset - 1)
            if file.read(1) != b"\n":
                offset = 0
        file.seek(max(0, offset))
        data = file.read(-1 if most is None else most)
    whole = data[:data.rfind(b"\n") + 1]
    return whole.decode("utf-8", "replace").splitlines(), max(0, offset) + len(whole)


def metrics_after(folder: Path, offset: int) -> tuple[list[dict[str, Any]], int, bool]:
    """Lines of metrics.jsonl as JSON values, without the norms of each layer; the next offset; and whether there are
    more lines already."""
    path = folder / model_folder.METRICS
    with suppress(OSError):
        lines, after = read_lines(path, offset)
        return [*_values(lines)], after, os.path.getsize(path) - after >= MOST_BYTES
    return [], 0, False


def samples_of(folder: Path) -> list[dict[str, Any]]:
    """The last samples, in the order of steps."""
    with suppress(OSError):
        lines, _ = read_lines(folder / model_folder.SAMPLES, 0, most=None)
        return [*_values(lines[-MOST_SAMPLES:])]
    return []


def _values(lines: list[str]) -> Iterator[dict[str, Any]]:
    """Lines as JSON values: a number that JSON does not know becomes null, and a damaged line is left out."""
    for line in lines:
        with suppress(ValueError, RecursionError):
            values = json.loads(line, parse_constant=lambda _: None, parse_float=_finite)
            if isinstance(values, dict):
                values.pop("layer_gradients", None)
                yield values


def _finite(text: str) -> float | None:
    """A number, or null if it is larger than any that is known: 1e999."""
    return value if math.isfinite(value := float(text)) else None


def finite_baselines(history: History) -> dict[str, float]:
    """Bits a byte of the baselines, by name; empty in the records of an earlier tinylm."""
    counted = history.began.baselines if history.began else {}
    return {name: bits for name, bits in counted.items() if math.isfinite(bits)}
