"""The innermost loop, written for vectors of 16 numbers: some panels of a matrix times some rows.

A panel holds 16 outputs of a matrix side by side, (inputs, 16): a vector of weights is loaded whole, and multiplied by
one number of a row. Sums grow in registers, one for each output, in the order of the inputs and with one rounding a
step. So an output does not depend on which rows were computed together with it, nor on how many threads there were.

    w (P, I, 16) panels      x (T, I) rows      out (T, P*16)      I inputs

bfloat16 comes in pairs of panels, whose numbers share 32 bits: no shuffling takes them apart. int8 comes with a scale
for each output, by which its sum is multiplied in the end. Everything here is addresses and strides for LLVM: its
vectors become two or four where a processor's are shorter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
FLOAT32, BFLOAT16, INT8 = KINDS = range(3)
"""How a matrix stores its numbers, ..."""
INTERLEAVE = (1, 2, 1)
"""... of how many panels side by side, ..."""
BYTES = (4, 2, 1)
"""... in how many bytes each."""
HAS_AVX512 = bool(binding.get_host_cpu_features().get("avx512f"))
"""Whether there are 32 registers of 16 numbers: with fewer, fewer sums fit."""
ROWS, PANELS, SINGLE_ROW_PANELS = (4, 4, 8) if HAS_AVX512 else (2, 2, 4)
"""Of a tile: the rows of one that has several, its most panels, and the most panels of one that has one row."""
CHAINS = 4
"""Sums of one output that grow side by side where there are few outputs: each step of a sum must wait for the last."""

_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_FLOATS, _INTS = ir.VectorType(_F32, LANES), ir.VectorType(_I32, LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)


def at(builder: ir.IRBuilder, base: ir.Value, index: ir.Value, size: int) -> ir.Value:
    """The address of the number at an index."""
    return builder.add(base, builder.mul(index, _I64(size)))


def load(builder: ir.IRBuilder, kind: ir.Type, address: ir.Value) -> ir.Value:
    align = LANES * (1 if kind == _BYTES else 4) if isinstance(kind, ir.VectorType) else 4
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align)


def splat(builder: ir.IRBuilder, number: ir.Value, vector: ir.VectorType) -> ir.Value:
    """One number in all lanes."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, _I32(0))
    return builder.shuffle_vector(first, first, ir.Constant(_INTS, [0] * LANES))


def _weights(builder: ir.IRBuilder, kind: int, address: ir.Value) -> list[ir.Value]:
    """16 numbers, or 32 of a pair of panels."""
    if kind == FLOAT32:
        return [load(builder, _FLOATS, address)]
    if kind == INT8:
        return [builder.sitofp(builder.sext(load(builder, _BYTES, address), _INTS), _FLOATS)]
    pair = load(builder, _INTS, address)
    low = builder.shl(pair, ir.Constant(_INTS, [16] * LANES))
    high = builder.and_(pair, ir.Constant(_INTS, [0xFFFF0000] * LANES))
    return [builder.bitcast(half, _FLOATS) for half in (low, high)]


def _emit(builder: ir.IRBuilder, kind: int, rows: int, panels: int, chains: int, args: list[ir.Value]) -> None:
    """One loop over the inputs, in which rows * panels sums grow."""
    out, out_step, w, w_step, scales, x, x_step, inputs = args
    together, bytes_each = INTERLEAVE[kind], INTERLEAVE[kind] * BYTES[kind]
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_FLOATS, [_FLOATS] * 3),
                                         f"llvm.fma.v{LANES}f32")
    before, loop, after = builder.block, builder.append_basic_block("inputs"), builder.append_basic_block("sums")
    w_panels = [at(builder, w, builder.mul(_I64(p), w_step), bytes_each) for p in range(panels // together)]
    x_rows = [at(builder, x, builder.mul(_I64(t), x_step), 4) for t in range(rows)]
    builder.branch(loop)
    builder.position_at_end(loop)
    i, *sums = builder.phi(_I64), *(builder.phi(_FLOATS) for _ in range(chains * rows * panels))
    grown: list[ir.Value] = []
    for c in range(chains):
        here = builder.add(i, _I64(c))
        weights = [each for panel in w_panels
                   for each in _weights(builder, kind, at(builder, panel, here, LANES * bytes_each))]
        for row in x_rows:
            number = splat(builder, load(builder, _F32, at(builder, row, here, 4)), _FLOATS)
            grown += [builder.call(fma, (each, number, sums[len(grown) + p])) for p, each in enumerate(weights)]
    following = builder.add(i, _I64(chains))
    for phi, first, then in zip([i, *sums], [_I64(0), *[ir.Constant(_FLOATS, [0.0] * LANES)] * len(sums)],
                                [following, *grown], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", following, inputs), loop, after)
    builder.position_at_end(after)
    for n in range(rows * panels):
        t, p = divmod(n, panels)
        total = grown[n]
        for c in range(1, chains):
            total = builder.fadd(total, grown[c * rows * panels + n])
        if kind == INT8:
            total = builder.fmul(total, load(builder, _FLOATS, at(builder, scales, _I64(p * LANES), 4)))
        target = at(builder, out, builder.add(builder.mul(_I64(t), out_step), _I64(p * LANES)), 4)
        builder.store(total, builder.inttoptr(target, _FLOATS.as_pointer()), align=4)


def micro_kernel(kind: int, rows: int, most: int, chains: int = 1) -> Callable[..., None]:
    """A function (panels, out, out_step, w, w_step, scales, x, x_step, inputs) for kernels: out = x @ w for `rows` rows
    and 1 to `most` panels. Steps lead to the next row, or panel or pair of panels, and count in numbers. `scales` is
    looked at where the kind has some.

    Args:
        chains: divides `inputs`.
    """
    counts = range(INTERLEAVE[kind], most + 1, INTERLEAVE[kind])

    @intrinsic
    def kernel(_context: Any, panels: Any, out: Any, out_step: Any, w: Any, w_step: Any, scales: Any, x: Any,
                x_step: Any, inputs: Any) -> Any:
        def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
            end = builder.append_basic_block("end")
            cases = {count: builder.append_basic_block(f"panels{count}") for count in counts}
            switch = builder.switch(args[0], end)
            for count, block in cases.items():
                switch.add_case(_I64(count), block)
                builder.position_at_end(block)
                _emit(builder, kind, rows, count, chains, list(args[1:]))
                builder.branch(end)
            builder.position_at_end(end)
            return ir.Constant(ir.IntType(8).as_pointer(), None)

        return types.void(*[types.int64] * 9), code

    return kernel
