"""LLVM building blocks that both micro-kernels share (engine/micro_kernel.py, training/cpu/micro_kernel.py): vectors of
16 float32, and a loop in which sums of products grow in registers.

A micro-kernel is the innermost loop of a matrix product as BLIS cuts it (Van Zee and van de Geijn 2015, "BLIS: A
Framework for Rapidly Instantiating BLAS Functionality", doi 10.1145/2764454): a small tile of the result stays in
registers while the inputs pass by. NumPy code compiled by numba would keep such a tile in memory, so the loop is
emitted as LLVM instructions, on typed pointers and strides. Where a processor's vectors hold 4 or 8 numbers, LLVM makes
two or four of one vector of 16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import binding, ir
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features

LANES = 16
"""Numbers of a vector."""


def processor_features() -> frozenset[str]:
    """LLVM's names of the instructions that numba compiles for: those of NUMBA_CPU_FEATURES, else this processor's."""
    told = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return frozenset(each[1:] for each in told.split(",") if each.startswith("+"))


def processor_name() -> str:
    """LLVM's name of the processor that numba compiles for: NUMBA_CPU_NAME, else this processor's."""
    return config.CPU_NAME or binding.get_host_cpu_name()


HAS_AVX512 = "avx512f" in processor_features()
"""True if there are 32 vector registers of 16 float32 each. Other processors have 16 of 8 (AVX2) or 32 of 4 (ARM),
which hold a quarter, so a tile must be smaller."""
HAS_AVX = not processor_features().isdisjoint(("avx", "avx2", "avx512f"))
LOOP_LANES = 16 if HAS_AVX512 and processor_name().startswith("znver") else 8 if HAS_AVX else 4
"""Numbers that LLVM puts into one register where it makes vector code of a loop. On Intel's processors it leaves half
of a register of 16 empty, since these run slower while all of it is in use."""
I32, I64, F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
FLOATS, INTS, BYTES = (ir.VectorType(kind, LANES) for kind in (F32, I32, ir.IntType(8)))
VOID = ir.Constant(ir.IntType(8).as_pointer(), None)
"""The value of an intrinsic that returns nothing."""


def element(builder: ir.IRBuilder, base: ir.Value, index: ir.Value) -> ir.Value:
    """The pointer to element `index` after `base`, a typed pointer."""
    return builder.gep(base, [index])


def load(builder: ir.IRBuilder, kind: ir.Type, pointer: ir.Value, align: int = 4) -> ir.Value:
    """The value of type `kind` behind a pointer whose address is a multiple of `align`."""
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=align)


def store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value) -> None:
    """Writes a value behind a pointer whose address is a multiple of 4."""
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=4)


def broadcast(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """A vector with one float32 in all lanes."""
    first = builder.insert_element(ir.Constant(FLOATS, ir.Undefined), number, I32(0))
    return builder.shuffle_vector(first, first, ir.Constant(INTS, [0] * LANES))


def zeros() -> ir.Constant:
    """A vector of zeros."""
    return ir.Constant(FLOATS, [0.0] * LANES)


def fma(builder: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """x * y + z of vectors, with one rounding where the processor has an instruction for that, everywhere alike. Others
    multiply and add: `llvm.fma` would be a call of a function for each number there."""
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(FLOATS, [FLOATS] * 3),
                                              f"llvm.fmuladd.v{LANES}f32")
    return builder.call(function, (x, y, z))


def accumulate(builder: ir.IRBuilder, count: ir.Value, step: int, sums: Sequence[ir.Value],
               add: Callable[[ir.Value, Sequence[ir.Value]], list[ir.Value]]) -> list[ir.Value]:
    """Emits a loop over i = 0, step, 2 * step, ... below `count`, which is entered at least once.

    Args:
        sums: before the first pass.
        add: emits the body: (i, the sums so far) -> the sums after this pass.

    Returns:
        the sums after the last pass.
    """
    before, body, after = builder.block, builder.append_basic_block("body"), builder.append_basic_block("after")
    builder.branch(body)
    builder.position_at_end(body)
    i, so_far = builder.phi(I64), [builder.phi(each.type) for each in sums]
    grown = add(i, so_far)
    following = builder.add(i, I64(step))
    for phi, first, then in zip([i, *so_far], [I64(0), *sums], [following, *grown], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(then, body)
    builder.cbranch(builder.icmp_signed("<", following, count), body, after)
    builder.position_at_end(after)
    return grown
