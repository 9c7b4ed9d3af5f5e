"""The innermost loop of attention, written for vectors of 16 numbers: some rows times some columns, in 32 bits.

    out (R, P*16)  =  or  +=  a (R, C) @ b (C, P*16)

The rows and the columns of `a` may lie any distance apart, so that a transpose is another pair of steps and no copy;
the columns of `b` and `out` lie side by side. Sums grow in registers, in the order of C and with one rounding a step.
Everything here is addresses and strides for LLVM: its vectors become two or four where a processor's are shorter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinylm.jit.compile import part

LANES = 16
ROWS = 8 if binding.get_host_cpu_features().get("avx512f") else 4
"""Of a tile: as many as leave registers free. Divides LANES."""
_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_FLOATS, _INTS = ir.VectorType(_F32, LANES), ir.VectorType(_I32, LANES)


def _at(builder: ir.IRBuilder, base: ir.Value, index: ir.Value) -> ir.Value:
    """The address of the float at an index."""
    return builder.add(base, builder.mul(index, _I64(4)))


def _pointer(builder: ir.IRBuilder, kind: ir.Type, address: ir.Value) -> ir.Value:
    return builder.inttoptr(address, kind.as_pointer())


def _splat(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """One number in all lanes."""
    first = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), number, _I32(0))
    return builder.shuffle_vector(first, first, ir.Constant(_INTS, [0] * LANES))


def _tile(panels: int) -> Callable[..., None]:
    """A function for kernels: `ROWS` rows and so many panels of 16 columns. Steps lead to the next row or column, and
    count in numbers; `add` says whether `out` is added to."""

    @intrinsic
    def product(_context: Any, out: Any, out_row: Any, a: Any, a_row: Any, a_column: Any, b: Any, b_row: Any,
                count: Any, add: Any) -> Any:
        def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
            _emit(builder, panels, *args)
            return ir.Constant(ir.IntType(8).as_pointer(), None)

        return types.void(*[types.int64] * 8, types.boolean), code

    return product


def _emit(builder: ir.IRBuilder, panels: int, out: ir.Value, out_row: ir.Value, a: ir.Value, a_row: ir.Value,
          a_column: ir.Value, b: ir.Value, b_row: ir.Value, count: ir.Value, add: ir.Value) -> None:
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3),
                                         f"llvm.fma.v{LANES}f32")
    targets = [_pointer(builder, _FLOATS, _at(builder, out, builder.add(builder.mul(_I64(r), out_row),
                                                                        _I64(p * LANES))))
               for r in range(ROWS) for p in range(panels)]
    zero = ir.Constant(_FLOATS, [0.0] * LANES)
    first = [builder.select(add, builder.load(target, align=4), zero) for target in targets]
    rows = [_at(builder, a, builder.mul(_I64(r), a_row)) for r in range(ROWS)]
    before, loop, after = builder.block, builder.append_basic_block("columns"), builder.append_basic_block("sums")
    builder.branch(loop)
    builder.position_at_end(loop)
    c, *sums = builder.phi(_I64), *(builder.phi(_FLOATS) for _ in targets)
    transposed = [builder.load(_pointer(builder, _FLOATS, _at(builder, b, builder.add(builder.mul(c, b_row),
                                                                                  _I64(p * LANES)))), align=4)
              for p in range(panels)]
    grown: list[ir.Value] = []
    for row in rows:
        number = builder.load(_pointer(builder, _F32, _at(builder, row, builder.mul(c, a_column))), align=4)
        spread = _splat(builder, number)
        grown += [builder.call(fma, (spread, each, sums[len(grown) + p])) for p, each in enumerate(transposed)]
    following = builder.add(c, _I64(1))
    for phi, start, then in zip([c, *sums], [_I64(0), *first], [following, *grown], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    builder.position_at_end(after)
    for total, target in zip(grown, targets, strict=True):
        builder.store(total, target, align=4)


_one, _two = _tile(1), _tile(2)


@part
def product(out: Any, out_row: Any, rows: Any, panels: Any, a: Any, a_row: Any, a_column: Any, b: Any, b_row: Any,
            count: Any, add: Any) -> None:
    """out (rows, panels*16) = a @ b, or is added to. `out`, `a`, `b`: addresses. `rows` is a multiple of ROWS, `count`
    more than none."""
    for r in range(0, rows, ROWS):
        there, here = out + 4 * r * out_row, a + 4 * r * a_row
        for p in range(0, panels - 1, 2):
            _two(there + 64 * p, out_row, here, a_row, a_column, b + 64 * p, b_row, count, add)
        if panels % 2 == 1:
            p = panels - 1
            _one(there + 64 * p, out_row, here, a_row, a_column, b + 64 * p, b_row, count, add)
