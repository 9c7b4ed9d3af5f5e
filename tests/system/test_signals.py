"""R9: a Ctrl-C that comes while C code has called Python is not lost there. The long form, with real compilers and
imports: faults/test_signals.py."""

import ctypes
import signal
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tinylm.system.signals import interruptible

WAITING = 5
"""Seconds, at most."""
PRESS = """
import signal, time

def press():
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)
    finished.append(True)
"""


def pressing(times: int, module: str, file: str = "a.py") -> tuple[Callable[[], None], list[bool]]:
    """A function of a module that presses Ctrl-C so often; and whether it has come to its end."""
    names: dict[str, Any] = {"__name__": module, "times": times, "finished": []}
    exec(compile(PRESS, file, "exec"), names)
    return names["press"], names["finished"]


def is_interrupted(action: Callable[[], object]) -> bool:
    """In it, or in the system call that waits after it."""
    try:
        with interruptible():
            action()
            time.sleep(WAITING)
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_llvm_calls_comes_to_its_end_and_then_the_interrupt_comes(times: int) -> None:
    press, finished = pressing(times, "llvmlite.binding.executionengine")
    called_from_c = ctypes.CFUNCTYPE(None)(press)
    began = time.monotonic()
    assert is_interrupted(called_from_c)
    assert finished
    assert time.monotonic() - began < WAITING


@pytest.mark.parametrize(("module", "file"), [("numba.core.typing", "a.py"), ("any", "<frozen importlib._bootstrap>")])
@pytest.mark.parametrize(("times", "is_at_once"), [(1, False), (2, True)])
def test_in_an_import_or_the_compiler_the_first_waits_and_the_second_takes_effect_at_once(
        module: str, file: str, times: int, is_at_once: bool) -> None:
    press, finished = pressing(times, module, file)
    assert is_interrupted(press)
    assert bool(finished) is not is_at_once


class Mortal:
    """Which does one last thing."""

    def __init__(self, last: Callable[[], None]) -> None:
        self.last = last

    def __del__(self) -> None:
        self.last()


def let_one_be_collected(press: Callable[[], None]) -> None:
    one = Mortal(lambda: None)
    watched = weakref.ref(one, lambda _: press())
    del one
    assert watched() is None


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("die", [Mortal, let_one_be_collected])
def test_one_that_is_lost_while_an_object_dies_comes_again(times: int, die: Callable[[Callable[[], None]], object],
                                                           ) -> None:
    press, finished = pressing(times, "any")
    began = time.monotonic()
    assert is_interrupted(lambda: is_interrupted(lambda: die(press)) and signal.raise_signal(signal.SIGINT))
    assert not finished, "it was not raised in there at all"
    assert time.monotonic() - began < WAITING


def test_other_errors_that_nobody_can_catch_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(lost.exc_type))
    with interruptible():
        Mortal(lambda: int("no number"))  # type: ignore[arg-type, return-value]
    assert told == [ValueError]


def test_nothing_is_left_behind() -> None:
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    with interruptible():
        assert signal.getsignal(signal.SIGINT) is not before
        assert sys.unraisablehook is not hook
    assert signal.getsignal(signal.SIGINT) is before
    assert sys.unraisablehook is hook
