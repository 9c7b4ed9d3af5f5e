"""Where the threads of one forward pass wait for each other.

A pass has tens of such places and may take no more microseconds, so whoever waits looks again and again; but only for
some microseconds, for the other one may have lost its core to another program. Then it gives its own away each time
before it looks.

Each tells how often it has come on a line of its own, which nobody else writes: what one core has written takes
another up to half a microsecond to see, and a count that all of them raise would go back and forth.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from tinylm.jit.compile import part

MAX_SPINS = 2000
"""How often it looks before it gives its core away: some 20 microseconds."""
LINE_BYTES = 128
"""Bytes from one worker's line to the next one's: processors fetch lines in pairs."""


def sched_yield() -> int:
    """The address of the system's function by which a thread lets others have its core; 0 where there is none."""
    return binding.address_of_symbol("sched_yield") or 0


@intrinsic
def _store_release(_context: Any, _address: Any, _number: Any) -> Any:
    """Writes a number to an address, after all that this thread has written."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        builder.store_atomic(args[1], pointer, "release", 8)
        return ir.Constant(ir.IntType(8).as_pointer(), None)

    return types.void(types.int64, types.int64), code


@intrinsic
def _load_acquire(_context: Any, _address: Any) -> Any:
    """The number at an address, before all that this thread reads from now on."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), code


@intrinsic
def _call_address(_context: Any, _function: Any) -> Any:
    """Calls the function at an address."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])

    return types.int32(types.int64), code


@part
def barrier_wait(work: Any, worker: Any, phase: Any) -> Any:
    """Waits until all workers have met once more than `phase` times; returns how often that is."""
    if work.workers > 1:
        _store_release(work.arrivals + LINE_BYTES * worker, phase + 1)
        spins = 0
        for other in range(work.workers):
            while _load_acquire(work.arrivals + LINE_BYTES * other) <= phase:
                spins += 1
                if spins > MAX_SPINS and work.sched_yield != 0:
                    _call_address(work.sched_yield)
    return phase + 1
