"""The barrier's means: the hint that a thread spins, and the giving away of a core."""

from __future__ import annotations

import ctypes

import pytest
from llvmlite import binding, ir

from tinylm.engine.barrier import emit_spin_hint, sched_yield

HINTS = {"x86_64-pc-linux-gnu": "pause", "x86_64-pc-windows-msvc": "pause", "aarch64-unknown-linux-gnu": "isb",
         "arm64-apple-darwin23.0": "isb", "riscv64-unknown-linux-gnu": None}


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
