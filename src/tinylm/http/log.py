"""Lines for whoever keeps the server. They are written by a thread of their own: a pipe that nobody reads must not stop
the event loop."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from queue import Full, Queue

MOST = 10_000
"""Lines that wait; more are dropped."""


class Log:
    def __init__(self) -> None:
        self._lines: Queue[str] = Queue(MOST)
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
        """Waits until all is written, but not for ever."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, seconds)
