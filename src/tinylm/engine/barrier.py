"""The barrier of a forward pass: each worker waits until all have come as far.

A pass has tens of barriers and may take no more microseconds, so a waiting worker spins: it reads the others' counters
again and again (Mellor-Crummey and Scott 1991, doi 10.1145/103727.103729), and tells the processor so, which then
leaves more of a core that two threads share to the other one, and saves power. It does so for some microseconds only,
for another worker may have lost its core to another program. After that it gives its own core away before each look.

Each worker counts the barriers that it has come to, the *phase*, in a cache line that nobody else writes. What one core
has written takes another up to half a microsecond to see, and a counter that all workers raise would go back and forth
between the cores.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from tinylm.jit.compile import part
from tinylm.jit.llvm import I32, VOID
from tinylm.jit.pointers import INT64S, at, int64_pointer

MAX_SPINS = 500
"""Looks before a worker gives its core away: 5 to 25 microseconds, as long as a processor waits between two of them."""
LINE_NUMBERS = 128 // 8
"""Numbers from one worker's counter to the next one's: processors fetch cache lines in pairs."""


def sched_yield() -> int:
    """The address of the system's function by which a thread gives its core away: () -> int32."""
    name = "sched_yield"
    if sys.platform == "win32":
        binding.load_library_permanently("kernel32.dll")  # the search goes through libraries that LLVM has opened
        name = "SwitchToThread"
    address: int | None = binding.address_of_symbol(name)
    assert address, f"every system of this kind has {name}"
    return address


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


SPIN_HINTS = {"x86_64": ("llvm.x86.sse2.pause", []), "aarch64": ("llvm.aarch64.isb", [I32(15)])}
"""The instruction, with its arguments, that makes a processor wait for a moment, by the architecture. ARM's own hint,
`yield`, does nothing on most ARM processors; `isb` waits until what was begun is done, some tens of cycles."""


@intrinsic
def _spin_hint(_context: Any) -> Any:
    """Tells the processor that this thread spins; nothing where the architecture has no word for it."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, _args: Any) -> Any:
        emit_spin_hint(builder)
        return VOID

    return types.void(), code


def emit_spin_hint(builder: ir.IRBuilder) -> None:
    """Emits the instruction of `SPIN_HINTS` for the architecture of the builder's module."""
    name, numbers = SPIN_HINTS.get(architecture(builder.module.triple), ("", []))
    if name:
        kind = ir.FunctionType(ir.VoidType(), [number.type for number in numbers])
        builder.call(builder.module.declare_intrinsic(name, (), kind), numbers)


def architecture(triple: str) -> str:
    """The architecture of a target triple, by the name that Linux gives it.

    >>> architecture("arm64-apple-darwin23.0"), architecture("x86_64-pc-windows-msvc")
    ('aarch64', 'x86_64')
    """
    first = triple.split("-")[0]
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(first, first)


@part
def barrier_wait(work: Any, worker: Any, phase: Any) -> Any:
    """Waits until all workers have come to the barrier that follows on `phase` others. Returns phase + 1."""
    if work.workers > 1:
        arrivals, spins = int64_pointer(work.arrivals), 0
        _store_release(at(arrivals, LINE_NUMBERS * worker), phase + 1)
        for other in range(work.workers):
            while _load_acquire(at(arrivals, LINE_NUMBERS * other)) <= phase:
                spins += 1
                if spins <= MAX_SPINS:
                    _spin_hint()
                else:
                    _call(work.sched_yield)
    return phase + 1
