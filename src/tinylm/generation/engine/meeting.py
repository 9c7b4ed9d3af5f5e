"""Where the threads of one forward pass wait for each other.

A pass has some thirty such places and may take less than a hundred microseconds, so whoever waits looks again and
again; but only for some microseconds, for the other one may have lost its core to another program. Then it gives its
own away each time before it looks.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from tinylm.compiled.compiling import part

PATIENCE = 2000
"""How often it looks before it gives its core away: some 20 microseconds."""


def give_way() -> int:
    """The address of the system's function by which a thread lets others have its core; 0 where there is none."""
    return binding.address_of_symbol("sched_yield") or 0


@intrinsic
def _arrive(_context: Any, _place: Any) -> Any:
    """Adds one to the number at an address, after all that this thread has written."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", place, ir.IntType(64)(1), "acq_rel")

    return types.int64(types.int64), code


@intrinsic
def _look(_context: Any, _place: Any) -> Any:
    """The number at an address, before all that this thread reads from now on."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(types.int64), code


@intrinsic
def _call(_context: Any, _function: Any) -> Any:
    """Calls the function at an address."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])

    return types.int32(types.int64), code


@part
def meet(work: Any, met: Any) -> Any:
    """Waits until all workers have met once more than `met` times; returns how often that is."""
    if work.workers > 1:
        _arrive(work.arrived)
        looked = 0
        while _look(work.arrived) < (met + 1) * work.workers:
            looked += 1
            if looked > PATIENCE and work.give_way != 0:
                _call(work.give_way)
    return met + 1
