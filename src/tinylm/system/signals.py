"""Ctrl-C and SIGTERM that come when Python can be interrupted."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN = 0.05
"""Seconds after which one that came at a bad moment comes again."""
UNSAFE = ("llvmlite.", __name__)
"""Code that C has called, or our own hook: what is raised in it is lost, and what it was doing is left half done."""
SLOW = ("numba.", *UNSAFE)
"""And code that goes on for seconds, with which the second one need not have patience."""


@contextmanager
def interruptible(*signals: int) -> Iterator[None]:
    """Within the block these signals raise KeyboardInterrupt, but not in the midst of an import or of compiling: raised
    in code that C or C++ has called, it would be lost there, or end the process. It waits until that is over. A second
    one takes effect at once, or as soon as LLVM has done its part of the compiling, which takes parts of a second. One
    that is lost all the same, since it was raised while Python took an object apart, comes again.

    Args:
        signals: none: SIGINT. In another thread than the main one nothing changes: signals never come there.
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
        self._comes_again = self._was_second = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again, self._comes_again = self._comes_again, False
        self._was_second |= self.stop() and not again
        if not _runs_for(frame, UNSAFE if self._was_second else SLOW, importing=not self._was_second):
            raise KeyboardInterrupt
        self._come_again(number)

    def lost(self, unraisable: sys.UnraisableHookArgs) -> None:
        """In place of sys.unraisablehook, which tells of errors in `__del__` and in what a weak reference calls."""
        if unraisable.exc_type is KeyboardInterrupt:
            self._come_again(signal.SIGINT)
        else:
            self.hook(unraisable)

    def _come_again(self, number: int) -> None:
        self._waiting = threading.Timer(AGAIN, self._again, (number,))
        self._waiting.daemon = True
        self._waiting.start()

    def _again(self, number: int) -> None:
        self._comes_again = True
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:  # which lets a system call that waits go on waiting
            _thread.interrupt_main(signal.Signals(number))

    def stop(self) -> bool:
        """Whether one was waiting."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
        return waiting is not None


def _runs_for(frame: FrameType | None, packages: tuple[str, ...], *, importing: bool) -> bool:
    """Whether this code runs for one of these packages, or for an import, if that counts."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(packages) or (importing and frame.f_code.co_filename.startswith("<frozen importlib")):
            return True
        frame = frame.f_back
    return False
