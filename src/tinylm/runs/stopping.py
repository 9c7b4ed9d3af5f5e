"""The end of a run before its time: a person asks by Ctrl-C, another program by a file in the run's folder."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console

from tinylm import model_folder
from tinylm.reports.terminal import print_lines

REQUEST = "stop"
"""The name of the file among the checkpoints by which another program asks a run to stop. Signals would not do: Windows
sends them between programs of one console alone."""


def request_stop(folder: Path) -> None:
    """Asks the run that trains into a folder to end after this step, as Ctrl-C does.

    Raises:
        OSError: the folder has no checkpoints, or cannot be written.
    """
    (folder / model_folder.CHECKPOINTS / REQUEST).touch()


def clear_request(folder: Path) -> None:
    """Forgets a request to stop, which an earlier run may have left."""
    with suppress(OSError):
        (folder / model_folder.CHECKPOINTS / REQUEST).unlink()


@contextmanager
def stop_requested(folder: Path, console: Console) -> Iterator[Callable[[], bool]]:
    """Within the block the function that it gives is true once the run into `folder` was asked to end in good order: by
    the first Ctrl-C or SIGTERM, or by `request_stop`. A second Ctrl-C ends it now."""
    asked, request = threading.Event(), folder / model_folder.CHECKPOINTS / REQUEST

    def ask(number: int, _frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()
        print_lines(console, ["", "  Stopping after this step; press Ctrl-C again to leave at once."])

    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM) if is_main}
    try:
        yield lambda: asked.is_set() or request.exists()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        clear_request(folder)
