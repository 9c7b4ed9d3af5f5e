"""The micro-kernel of training (jit/llvm.py): some rows times some columns, in 32 bits.

    out (R, P*16)  =  or  +=  a (R, C) @ b (C, P*16)

The rows and the columns of `a` may lie any distance apart, so that a transpose is another pair of strides and no copy;
the columns of `b` and `out` lie side by side. Each sum grows in the order of C, with one rounding a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinylm.jit.compile import part
from tinylm.jit.llvm import (
    F32,
    FLOATS,
    HAS_AVX,
    HAS_AVX512,
    I64,
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
from tinylm.jit.pointers import FLOAT32S, at

TILE_ROWS, TILE_PANELS = (8, 2) if HAS_AVX512 else (4, 1)
"""Rows and panels of a tile: half of the registers hold its sums. The rows divide LANES."""
TALL_ROWS = 6 if HAS_AVX and not HAS_AVX512 else TILE_ROWS
"""Rows of a tile where any number of rows may be left over: 12 of AVX's 16 registers hold its sums. Sums of 8 registers
grow only as fast as an addition ends, which takes 4 or 5 cycles, and a processor begins two additions in each."""


def _micro_kernel(rows: int, panels: int) -> Callable[..., None]:
    """Makes an intrinsic (out, out_row, a, a_row, a_column, b, b_row, count, add): a product of so
    many rows and panels of 16 columns.

    `out`, `a` and `b` are pointers. Strides lead to the next row or column, and count in numbers. `add` says whether
    `out` is added to.
    """

    @intrinsic
    def product(_context: Any, out: Any, out_row: Any, a: Any, a_row: Any, a_column: Any, b: Any, b_row: Any,
                count: Any, add: Any) -> Any:
        def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
            _emit(builder, rows, panels, *args)
            return VOID

        step = types.int64
        return types.void(FLOAT32S, step, FLOAT32S, step, step, FLOAT32S, step, step, types.boolean), code

    return product


def _emit(builder: ir.IRBuilder, rows: int, panels: int, out: ir.Value, out_row: ir.Value, a: ir.Value, a_row: ir.Value,
          a_column: ir.Value, b: ir.Value, b_row: ir.Value, count: ir.Value, add: ir.Value) -> None:
    """Emits one loop over `count`, in which rows * panels sums grow."""
    targets = [element(builder, out, builder.add(builder.mul(I64(r), out_row), I64(p * LANES)))
               for r in range(rows) for p in range(panels)]
    a_rows = [element(builder, a, builder.mul(I64(r), a_row)) for r in range(rows)]

    def add_products(c: ir.Value, sums: Sequence[ir.Value]) -> list[ir.Value]:
        b_panels = [load(builder, FLOATS, element(builder, b, builder.add(builder.mul(c, b_row), I64(p * LANES))))
                    for p in range(panels)]
        grown: list[ir.Value] = []
        for row in a_rows:
            number = broadcast(builder, load(builder, F32, element(builder, row, builder.mul(c, a_column))))
            grown += [fma(builder, number, panel, sums[len(grown) + p]) for p, panel in enumerate(b_panels)]
        return grown

    first = [builder.select(add, load(builder, FLOATS, target), zeros()) for target in targets]
    for total, target in zip(accumulate(builder, count, 1, first, add_products), targets, strict=True):
        store(builder, total, target)


row_product = _micro_kernel(1, 2)
"""Two panels of one row, where no tile is left."""


def _tiled(tile_rows: int) -> Any:
    """Makes a part that computes a product in tiles of so many rows."""
    tile, one_panel = _micro_kernel(tile_rows, TILE_PANELS), _micro_kernel(tile_rows, 1)

    @part
    def product(out: Any, out_row: Any, rows: Any, panels: Any, a: Any, a_row: Any, a_column: Any, b: Any, b_row: Any,
                count: Any, add: Any) -> None:
        for r in range(0, rows, tile_rows):
            out_tile, a_tile = at(out, r * out_row), at(a, r * a_row)
            for p in range(0, panels - TILE_PANELS + 1, TILE_PANELS):
                tile(at(out_tile, p * LANES), out_row, a_tile, a_row, a_column, at(b, p * LANES), b_row, count, add)
            if panels % TILE_PANELS == 1:
                p = (panels - 1) * LANES
                one_panel(at(out_tile, p), out_row, a_tile, a_row, a_column, at(b, p), b_row, count, add)

    return product


product, tall_product = _tiled(TILE_ROWS), _tiled(TALL_ROWS)
"""out (rows, panels*16) = a @ b, or is added to: as many tiles as that takes.

Args:
    out, a, b: pointers.
    rows: a multiple of TILE_ROWS, or of TALL_ROWS.
    count: of columns of `a`, at least one.
"""
