"""Rows times matrices of any kind, shared out among workers by outputs.

Every output is one sum in the order of the inputs (tiles.py), so how the work is cut changes no digit of it.
"""

from __future__ import annotations

from typing import Any

from tinylm.compiled.compiling import part
from tinylm.generation.engine.tiles import ALONE, BFLOAT16, FLOAT32, KINDS, LANES, PANELS, ROWS, SIZE, tile

_several_float32, _several_bfloat16, _several_int8 = (tile(kind, ROWS, PANELS) for kind in KINDS)
_one_float32, _one_bfloat16, _one_int8 = (tile(kind, 1, ALONE) for kind in KINDS)


@part
def first_panel(panels: Any, worker: Any, workers: Any) -> Any:
    """Where a worker's share of the panels begins; it ends where the next one's begins. Pairs stay together."""
    return (panels // 2 * worker // workers) * 2 if worker < workers else panels


@part
def product(matrix: Any, work: Any, worker: Any, x: Any, x_step: Any, out: Any, out_step: Any) -> None:
    """The worker's share of out (rows, outputs) = x (rows, inputs) @ matrix. `x`, `out`: addresses."""
    first = first_panel(matrix.panels, worker, work.workers)
    last = first_panel(matrix.panels, worker + 1, work.workers)
    share(matrix, work.rows, first, last, x, x_step, out, out_step)


@part
def share(matrix: Any, rows: Any, first: Any, last: Any, x: Any, x_step: Any, out: Any, out_step: Any) -> None:
    """The panels first to last of out = x @ matrix: in blocks that stay in the cache while all rows pass by."""
    if last <= first:
        return
    most = PANELS if rows >= ROWS else ALONE
    blocks, pairs = (last - first + most - 1) // most, (last - first + 1) // 2
    for block in range(blocks):
        begin = first + pairs * block // blocks * 2
        end = min(first + pairs * (block + 1) // blocks * 2, last)
        w = matrix.weights + begin * matrix.inputs * LANES * SIZE[matrix.kind]
        scales = matrix.scales + 4 * begin * LANES
        row = 0
        while row < rows:
            tall = rows - row >= ROWS
            _tile(matrix, tall, end - begin, out + 4 * (row * out_step + begin * LANES), out_step, w, scales,
                  x + 4 * row * x_step, x_step)
            row += ROWS if tall else 1


@part
def _tile(matrix: Any, tall: Any, panels: Any, out: Any, out_step: Any, w: Any, scales: Any, x: Any,
          x_step: Any) -> None:
    step = matrix.inputs * LANES
    if matrix.kind == FLOAT32:
        if tall:
            _several_float32(panels, out, out_step, w, step, scales, x, x_step, matrix.inputs)
        else:
            _one_float32(panels, out, out_step, w, step, scales, x, x_step, matrix.inputs)
    elif matrix.kind == BFLOAT16:
        if tall:
            _several_bfloat16(panels, out, out_step, w, step, scales, x, x_step, matrix.inputs)
        else:
            _one_bfloat16(panels, out, out_step, w, step, scales, x, x_step, matrix.inputs)
    elif tall:
        _several_int8(panels, out, out_step, w, step, scales, x, x_step, matrix.inputs)
    else:
        _one_int8(panels, out, out_step, w, step, scales, x, x_step, matrix.inputs)
