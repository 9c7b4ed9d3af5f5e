"""Rows times matrices of any kind, shared out among workers by outputs; and those that lead back to the residual stream
by inputs, if that spares two workers a meeting.

Every output is one sum in the order of the inputs (tiles.py), or of two halves one such sum each, always of the same
halves. So how the work is cut changes no digit of it.
"""

from __future__ import annotations

from typing import Any

from tinylm.engine.barrier import barrier_wait
from tinylm.engine.micro_kernel import (
    BFLOAT16,
    BYTES,
    FLOAT32,
    INTERLEAVE,
    KINDS,
    LANES,
    PANELS,
    ROWS,
    SINGLE_ROW_PANELS,
    micro_kernel,
)
from tinylm.engine.records import floats
from tinylm.jit.compile import part

_several_float32, _several_bfloat16, _several_int8 = (micro_kernel(kind, ROWS, PANELS) for kind in KINDS)
_one_float32, _one_bfloat16, _one_int8 = (micro_kernel(kind, 1, SINGLE_ROW_PANELS) for kind in KINDS)


@part
def panel_range(worker: Any, matrix: Any, work: Any) -> Any:
    """Where a worker's share of a matrix's panels begins and ends. Pairs stay together."""
    together = INTERLEAVE[matrix.kind]
    count = matrix.panels // together
    return count * worker // work.workers * together, count * (worker + 1) // work.workers * together


@part
def matmul(matrix: Any, work: Any, worker: Any, x: Any, x_step: Any, out: Any, out_step: Any) -> None:
    """The worker's share of out (rows, outputs) = x (rows, inputs) @ matrix. `x`, `out`: addresses."""
    first, last = panel_range(worker, matrix, work)
    share(matrix, 0, matrix.inputs, work.rows, first, last, x, x_step, out, out_step)


@part
def project_to_residual(matrix: Any, work: Any, worker: Any, phase: Any, has_half: Any, x: Any, x_step: Any,
                        out: Any) -> Any:
    """out (2, N, D) = what either half of x (N, inputs) brings. Returns how often the workers have met.

    Args:
        has_half: whether each of the two workers has made one half of x; else all wait for all of it.
    """
    if has_half:
        _half(matrix, work, worker, 0, matrix.panels, x, x_step, out)
    else:
        phase = barrier_wait(work, worker, phase)
        first, last = panel_range(worker, matrix, work)
        for number in range(2):
            _half(matrix, work, number, first, last, x, x_step, out)
    return barrier_wait(work, worker, phase)


@part
def _half(matrix: Any, work: Any, number: Any, first: Any, last: Any, x: Any, x_step: Any, out: Any) -> None:
    """The panels first to last of the first or second half."""
    start, stop = (0, matrix.cut) if number == 0 else (matrix.cut, matrix.inputs)
    out += 4 * number * work.rows * work.width
    if start < stop:
        share(matrix, start, stop - start, work.rows, first, last, x + 4 * start, x_step, out, work.width)
    else:
        nothing = floats(out, work.rows, work.width)
        for n in range(work.rows):
            for d in range(first * LANES, last * LANES):
                nothing[n, d] = 0


@part
def share(matrix: Any, start: Any, inputs: Any, rows: Any, first: Any, last: Any, x: Any, x_step: Any, out: Any,
          out_step: Any) -> None:
    """The panels first to last of out = x @ so many inputs of a matrix, from `start` on: in blocks that stay in the
    cache while all rows pass by."""
    if last <= first:
        return
    most = PANELS if rows >= ROWS else SINGLE_ROW_PANELS
    blocks, pairs = (last - first + most - 1) // most, (last - first + 1) // 2
    for block in range(blocks):
        begin = first + pairs * block // blocks * 2
        end = min(first + pairs * (block + 1) // blocks * 2, last)
        w = matrix.weights + (begin * matrix.inputs + start * INTERLEAVE[matrix.kind]) * LANES * BYTES[matrix.kind]
        scales = matrix.scales + 4 * begin * LANES
        row = 0
        while row < rows:
            tall = rows - row >= ROWS
            _tile(matrix, tall, end - begin, out + 4 * (row * out_step + begin * LANES), out_step, w, scales,
                  x + 4 * row * x_step, x_step, inputs)
            row += ROWS if tall else 1


@part
def _tile(matrix: Any, tall: Any, panels: Any, out: Any, out_step: Any, w: Any, scales: Any, x: Any,
          x_step: Any, inputs: Any) -> None:
    step = matrix.inputs * LANES
    if matrix.kind == FLOAT32:
        if tall:
            _several_float32(panels, out, out_step, w, step, scales, x, x_step, inputs)
        else:
            _one_float32(panels, out, out_step, w, step, scales, x, x_step, inputs)
    elif matrix.kind == BFLOAT16:
        if tall:
            _several_bfloat16(panels, out, out_step, w, step, scales, x, x_step, inputs)
        else:
            _one_bfloat16(panels, out, out_step, w, step, scales, x, x_step, inputs)
    elif tall:
        _several_int8(panels, out, out_step, w, step, scales, x, x_step, inputs)
    else:
        _one_int8(panels, out, out_step, w, step, scales, x, x_step, inputs)
