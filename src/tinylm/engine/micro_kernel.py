"""The micro-kernel of the engine (jit/llvm.py): some rows times some packed panels of a matrix.

A panel holds 16 outputs of a matrix side by side, (inputs, 16), as BLIS packs its operands: a vector of weights is
loaded whole, and multiplied by one number of a row. Each sum grows in the order of the inputs, with one rounding a
step. So an output does not depend on which rows were computed together with it, nor on how many threads there were.

    w (P, I, 16) panels      x (T, I) rows      out (T, P*16)      I inputs

bfloat16 comes in pairs of panels whose numbers share 32 bits, so that no shuffle is needed to take them apart. int8
comes with a scale for each output, by which its sum is multiplied in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinylm.jit.llvm import (
    BYTES,
    F32,
    FLOATS,
    HAS_AVX512,
    I32,
    I64,
    INTS,
    LANES,
    VOID,
    accumulate,
    broadcast,
    element,
    fma,
    load,
    store,
    zeros,
)
from tinylm.jit.pointers import FLOAT32S

FLOAT32, BFLOAT16, INT8 = KINDS = range(3)
"""Number formats of a matrix."""
INTERLEAVED = (1, 2, 1)
"""Panels whose numbers alternate in memory, for each format."""
NUMBER_BYTES = (4, 2, 1)
"""Bytes of a number, for each format."""
_NUMBERS = (F32, I32, ir.IntType(8))
"""What is loaded at once for a lane of a panel, or of a pair of interleaved panels, for each format."""
TILE_ROWS, TILE_PANELS, ONE_ROW_PANELS = (4, 4, 8) if HAS_AVX512 else (2, 2, 4)
"""Sizes of a tile: its rows and its most panels; and the most panels of a tile that has one row."""
CHAINS = 4
"""Partial sums of one output that grow side by side where there are few outputs: each step of a sum must wait for the
one before it."""


def _load_weights(builder: ir.IRBuilder, kind: int, pointer: ir.Value) -> list[ir.Value]:
    """Loads 16 weights as float32, or a vector from each of two interleaved panels."""
    if kind == FLOAT32:
        return [load(builder, FLOATS, pointer, align=4 * LANES)]
    if kind == INT8:
        return [builder.sitofp(builder.sext(load(builder, BYTES, pointer, align=LANES), INTS), FLOATS)]
    pair = load(builder, INTS, pointer, align=4 * LANES)
    low = builder.shl(pair, ir.Constant(INTS, [16] * LANES))
    high = builder.and_(pair, ir.Constant(INTS, [0xFFFF0000] * LANES))
    return [builder.bitcast(half, FLOATS) for half in (low, high)]


def _emit(builder: ir.IRBuilder, kind: int, rows: int, panels: int, chains: int, args: list[ir.Value]) -> None:
    """Emits one loop over the inputs, in which rows * panels sums grow, each in so many chains."""
    out, out_step, w, w_step, scales, x, x_step, inputs = args
    tile, w = rows * panels, builder.bitcast(w, _NUMBERS[kind].as_pointer())
    w_panels = [element(builder, w, builder.mul(I64(p), w_step)) for p in range(panels // INTERLEAVED[kind])]
    x_rows = [element(builder, x, builder.mul(I64(t), x_step)) for t in range(rows)]

    def add_products(i: ir.Value, sums: Sequence[ir.Value]) -> list[ir.Value]:
        grown: list[ir.Value] = []
        for c in range(chains):
            here = builder.add(i, I64(c))
            vector = builder.mul(here, I64(LANES))
            weights = [each for panel in w_panels
                       for each in _load_weights(builder, kind, element(builder, panel, vector))]
            for row in x_rows:
                number = broadcast(builder, load(builder, F32, element(builder, row, here)))
                grown += [fma(builder, each, number, sums[len(grown) + p]) for p, each in enumerate(weights)]
        return grown

    sums = accumulate(builder, inputs, chains, [zeros()] * (chains * tile), add_products)
    for n in range(tile):
        t, p = divmod(n, panels)
        total = sums[n]
        for c in range(1, chains):
            total = builder.fadd(total, sums[c * tile + n])
        if kind == INT8:
            scale = load(builder, FLOATS, element(builder, scales, I64(p * LANES)), align=4 * LANES)
            total = builder.fmul(total, scale)
        store(builder, total, element(builder, out, builder.add(builder.mul(I64(t), out_step), I64(p * LANES))))


def micro_kernel(kind: int, rows: int, max_panels: int, chains: int = 1) -> Callable[..., None]:
    """Makes an intrinsic (panels, out, out_step, w, w_step, scales, x, x_step, inputs): out = x @ w for `rows` rows and
    1 to `max_panels` panels.

    `out`, `w`, `scales` and `x` are pointers, `w` to anything. Steps lead to the next row, or to the next panel or pair
    of panels, and count in numbers. `scales` is read for int8 only, and
    may be anything else where the weights are not.

    Args:
        kind: the format of the weights.
        chains: partial sums of each output; divides `inputs`.
    """
    counts = range(INTERLEAVED[kind], max_panels + 1, INTERLEAVED[kind])

    @intrinsic
    def product(_context: Any, panels: Any, out: Any, out_step: Any, w: Any, w_step: Any, scales: Any, x: Any,
                x_step: Any, inputs: Any) -> Any:
        step = types.int64

        def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
            end = builder.append_basic_block("end")
            cases = {count: builder.append_basic_block(f"panels{count}") for count in counts}
            switch = builder.switch(args[0], end)
            for count, block in cases.items():
                switch.add_case(I64(count), block)
                builder.position_at_end(block)
                _emit(builder, kind, rows, count, chains, list(args[1:]))
                builder.branch(end)
            builder.position_at_end(end)
            return VOID

        return types.void(types.int64, FLOAT32S, step, w, step, scales, FLOAT32S, step, types.int64), code

    return product
