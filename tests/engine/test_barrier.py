"""The barrier: what each worker wrote before it, every other worker reads after it; the hint that a thread spins, and
the giving away of a core."""

from __future__ import annotations

import ctypes
import platform
import re
from typing import Any

import numpy as np
import pytest
from llvmlite import binding, ir
from numba import njit

from tinylm.engine.barrier import LINE_NUMBERS, barrier_wait, emit_spin_hint, sched_yield
from tinylm.engine.records import WORK
from tinylm.jit.arrays import address_of, aligned_zeros
from tinylm.jit.thread_pool import ThreadPool

HINTS = {"x86_64-pc-linux-gnu": "pause", "x86_64-pc-windows-msvc": "pause", "aarch64-unknown-linux-gnu": "isb",
         "arm64-apple-darwin23.0": "isb", "riscv64-unknown-linux-gnu": None}
IS_ARM = platform.machine() in ("aarch64", "arm64")


@njit(nogil=True)
def meet(works: Any, worker: Any, meetings: Any, written: Any) -> Any:
    """Writes the number of each meeting before its barrier. Returns how many numbers of others were not there after it.

    Args:
        written: (2, workers). A meeting writes one row while slower workers may still read that of the meeting before.
    """
    work, phase, missing = works[0], 0, 0
    for meeting in range(1, meetings + 1):
        row = written[meeting % 2]
        row[worker] = meeting
        phase = barrier_wait(work, worker, phase)
        for other in range(work.workers):
            missing += row[other] != meeting
    return missing


def missing_after(workers: int, meetings: int) -> list[int]:
    works, arrivals = np.zeros(1, WORK), aligned_zeros((workers, LINE_NUMBERS), np.int64)
    works["workers"], works["arrivals"], works["sched_yield"] = workers, address_of(arrivals), sched_yield()
    written = np.zeros((2, workers), np.int64)
    missing = ThreadPool(workers).map(lambda worker: meet(works, worker, meetings, written))
    assert arrivals[:, 0].tolist() == [meetings if workers > 1 else 0] * workers
    return missing


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_what_was_written_before_the_barrier_is_read_after_it(workers: int) -> None:
    assert missing_after(workers, 3_000) == [0] * workers


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3, 4])
def test_nothing_is_missing_in_a_hundred_thousand_meetings(workers: int) -> None:
    assert missing_after(workers, 100_000) == [0] * workers


@pytest.mark.skipif(not IS_ARM, reason="other processors need no instruction of their own for it")
def test_the_order_of_memory_is_asked_of_an_arm_processor() -> None:
    """ARM's memory is weakly ordered: a plain store may be seen before those that precede it."""
    missing_after(1, 1)
    code = "\n".join(meet.inspect_asm().values())
    assert re.search(r"\bstlr\b", code)
    assert re.search(r"\blda(p)?r\b", code)


def assembly_of_a_hint(triple: str) -> str:
    """The machine code, as text, of a function that gives the hint and returns."""
    module = ir.Module()
    module.triple = triple
    builder = ir.IRBuilder(ir.Function(module, ir.FunctionType(ir.VoidType(), []), "spin").append_basic_block())
    emit_spin_hint(builder)
    builder.ret_void()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    try:
        target = binding.Target.from_triple(triple)
    except RuntimeError as error:
        pytest.skip(f"this llvmlite compiles for fewer processors: {error}")
    return target.create_target_machine().emit_assembly(binding.parse_assembly(str(module)))


@pytest.mark.parametrize("triple", HINTS)
def test_a_spinning_thread_says_so_where_the_processor_has_a_word_for_it(triple):
    lines = [line.split() for line in assembly_of_a_hint(triple).splitlines() if line.startswith("\t")]
    found = [line[0] for line in lines if line[0] in ("pause", "isb", "yield")]
    assert found == [HINTS[triple]] * (HINTS[triple] is not None)


def test_a_core_can_be_given_away():
    assert ctypes.CFUNCTYPE(ctypes.c_int32)(sched_yield())() in (0, 1)  # of sched_yield: 0; of SwitchToThread: either
