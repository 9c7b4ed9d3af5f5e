"""How a command prints: one JSON object for programs, or plain lines for people."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False))


def columns(rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Rows of cells as aligned lines; the columns in `right` end flush."""
    rows = [list(row) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                      for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]


def note(text: str) -> None:
    """Something to know that is no part of the answer."""
    print(text, file=sys.stderr)


def note_unfinished(run: str) -> None:
    """Says of a run that has no weights yet how to go on with it, where a command can do without weights."""
    from tinylm.bundle import unfinished

    if error := unfinished(run):
        note(f"note: {error}")


def patient_console(*, stderr: bool = False) -> Console:
    """A console that goes silent when what it says arrives nowhere any more, as in `tinylm train book.txt | head` or on
    a disk that is full: the run goes on, and the model is not lost."""
    from rich.console import Console

    return Console(file=cast(IO[str], Patient(sys.stderr if stderr else sys.stdout)), highlight=False)


class Patient:
    """A stream like another one, until that fails; then it takes everything and gives it to nobody."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            forget(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            forget(self._stream)


def forget(stream: IO[str]) -> None:
    """From now on it goes nowhere, with what still waits in it: else Python would fail on that once more when it ends.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
