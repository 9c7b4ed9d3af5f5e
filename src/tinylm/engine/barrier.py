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
from tinylm.jit.llvm import I32, I64, VOID

MAX_SPINS = 2000
"""Looks before a worker gives its core away: some 20 microseconds."""
LINE_BYTES = 128
"""Bytes from one worker's counter to the next one's: processors fetch cache lines in pairs."""


def sched_yield() -> int:
    """The address of the system's function by which a thread gives its core away; 0 where there is none."""
    return binding.address_of_symbol("sched_yield") or 0


@intrinsic
def _store_release(_context: Any, _address: Any, _number: Any) -> Any:
    """Writes a number to an address, after all that this thread has written."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], builder.inttoptr(args[0], I64.as_pointer()), "release", 8)
        return VOID

    return types.void(types.int64, types.int64), code


@intrinsic
def _load_acquire(_context: Any, _address: Any) -> Any:
    """The number at an address, read before all that this thread reads from now on."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(args[0], I64.as_pointer()), "acquire", 8)

    return types.int64(types.int64), code


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
        _store_release(work.arrivals + LINE_BYTES * worker, phase + 1)
        spins = 0
        for other in range(work.workers):
            while _load_acquire(work.arrivals + LINE_BYTES * other) <= phase:
                spins += 1
                if spins > MAX_SPINS and work.sched_yield != 0:
                    _call(work.sched_yield)
    return phase + 1
