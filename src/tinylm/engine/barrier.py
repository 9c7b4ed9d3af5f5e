"""The barrier of a forward pass: each worker waits until all have come as far.

A pass has tens of barriers and may take no more microseconds, so a waiting worker spins: it reads the others' counters
again and again (Mellor-Crummey and Scott 1991, doi 10.1145/103727.103729). It does so for some microseconds only, for
another worker may have lost its core to another program. After that it gives its own core away before each look.

Each worker counts the barriers that it has come to, the *phase*, in a cache line that nobody else writes. What one core
has written takes another up to half a microsecond to see, and a counter that all workers raise would go back and forth
between the cores.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from tinylm.jit.compile import part
from tinylm.jit.llvm import I32, VOID
from tinylm.jit.pointers import INT64S, at, int64_pointer

MAX_SPINS = 2000
"""Looks before a worker gives its core away: some 20 microseconds."""
LINE_NUMBERS = 128 // 8
"""Numbers from one worker's counter to the next one's: processors fetch cache lines in pairs."""


def sched_yield() -> int:
    """The address of the system's function by which a thread gives its core away; 0 where there is none."""
    return binding.address_of_symbol("sched_yield") or 0


@intrinsic
def _store_release(_context: Any, _pointer: Any, _number: Any) -> Any:
    """Writes a number behind a pointer, after all that this thread has written."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], args[0], "release", 8)
        return VOID

    return types.void(INT64S, types.int64), code


@intrinsic
def _load_acquire(_context: Any, _pointer: Any) -> Any:
    """The number behind a pointer, read before all that this thread reads from now on."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.load_atomic(args[0], "acquire", 8)

    return types.int64(INT64S), code


@intrinsic
def _call(_context: Any, _function: Any) -> Any:
    """Calls the function at an address."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.call(builder.inttoptr(args[0], ir.FunctionType(I32, []).as_pointer()), [])

    return types.int32(types.int64), code


@part
def barrier_wait(work: Any, worker: Any, phase: Any) -> Any:
    """Waits until all workers have come to the barrier that follows on `phase` others. Returns phase + 1."""
    if work.workers > 1:
        arrivals, spins = int64_pointer(work.arrivals), 0
        _store_release(at(arrivals, LINE_NUMBERS * worker), phase + 1)
        for other in range(work.workers):
            while _load_acquire(at(arrivals, LINE_NUMBERS * other)) <= phase:
                spins += 1
                if spins > MAX_SPINS and work.sched_yield != 0:
                    _call(work.sched_yield)
    return phase + 1
