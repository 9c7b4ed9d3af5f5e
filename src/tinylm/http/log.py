"""The log of a server: lines on standard error, written by a thread of their own, because a pipe that nobody reads must
not stop the event loop."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from queue import Full, Queue

MAX_PENDING_LINES = 10_000
"""Lines that wait to be written; further ones are dropped."""


class Log:
    """A logger for the event loop: calling it with a line returns at once."""

    def __init__(self) -> None:
        self._lines: Queue[str] = Queue(MAX_PENDING_LINES)
        threading.Thread(target=self._write, name="tinylm-log", daemon=True).start()

    def __call__(self, line: str) -> None:
        with suppress(Full):
            self._lines.put_nowait(line)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            with suppress(OSError, ValueError):
                print(line, file=sys.stderr, flush=True)
            self._lines.task_done()

    def flush(self, seconds: float = 1.0) -> None:
        """Waits until all lines are written, but no longer than `seconds`."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, seconds)
