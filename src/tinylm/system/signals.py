"""Ctrl-C and SIGTERM, held back until Python can be interrupted."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

RETRY_SECONDS = 0.05
"""Seconds after which a signal that came at a bad moment is sent again."""
UNSAFE_MODULES = ("llvmlite.", __name__)
"""Prefixes of modules that C calls back, and this module: an exception raised there is lost, and its work half done."""
SLOW_MODULES = ("numba.", *UNSAFE_MODULES)
"""Prefixes of modules that may run for seconds as well; the second signal of the same kind interrupts them at once."""


@contextmanager
def interruptible(*signals: int) -> Iterator[None]:
    """Makes signals raise KeyboardInterrupt within the block, but not in the midst of an import or of compiling.

    An exception raised in code that C or C++ has called would be lost there, or end the process; so the signal waits
    until the import or the compilation is over. A second signal takes effect at once, or as soon as LLVM has done its
    part of the compilation, which takes fractions of a second. A KeyboardInterrupt that is lost all the same, since it
    was raised while Python finalized an object, is raised again.

    Args:
        signals: numbers of signals; default: SIGINT. In another thread than the main one nothing changes, since Python
            delivers signals to the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = _Handler()
    sys.unraisablehook = handler.lost
    before = {number: signal.signal(number, handler) for number in signals or (signal.SIGINT,)}
    try:
        yield
        if handler.stop():
            raise KeyboardInterrupt
    finally:
        handler.stop()
        for number, earlier in before.items():
            signal.signal(number, earlier)
        sys.unraisablehook = handler.hook


class _Handler:
    def __init__(self) -> None:
        self.hook = sys.unraisablehook
        self._waiting: threading.Timer | None = None
        self._is_retry = self._was_second = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        is_retry, self._is_retry = self._is_retry, False
        self._was_second |= self.stop() and not is_retry
        if not _runs_for(frame, UNSAFE_MODULES if self._was_second else SLOW_MODULES, importing=not self._was_second):
            raise KeyboardInterrupt
        self._retry_later(number)

    def lost(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Replaces sys.unraisablehook, which reports errors in `__del__` and in the callbacks of weak references."""
        if unraisable.exc_type is KeyboardInterrupt:
            self._retry_later(signal.SIGINT)
        else:
            self.hook(unraisable)

    def _retry_later(self, number: int) -> None:
        self._waiting = threading.Timer(RETRY_SECONDS, self._send_again, (number,))
        self._waiting.daemon = True
        self._waiting.start()

    def _send_again(self, number: int) -> None:
        self._is_retry = True
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:  # Windows; a system call that blocks is not interrupted by it
            _thread.interrupt_main(signal.Signals(number))

    def stop(self) -> bool:
        """Cancels the signal that waits to be sent again. Returns True if there was one."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
        return waiting is not None


def _runs_for(frame: FrameType | None, packages: tuple[str, ...], *, importing: bool) -> bool:
    """True if a frame of the stack belongs to one of these packages, or to an import where `importing` is true."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(packages) or (importing and frame.f_code.co_filename.startswith("<frozen importlib")):
            return True
        frame = frame.f_back
    return False
