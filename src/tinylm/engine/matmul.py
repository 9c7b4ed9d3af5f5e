"""Matrix products of a forward pass: rows times a packed matrix of any number format, divided among the workers.

Most products are divided by outputs, so each worker computes some panels of the result. Those that lead back to the
residual stream can be divided by inputs instead: a worker multiplies the inputs that it made itself, and need not wait
for the other. That is the pair of column-parallel and row-parallel products of Megatron-LM (Shoeybi et al. 2019, arXiv
1909.08053), for threads in the place of GPUs.

Every output is one sum in the order of the inputs (micro_kernel.py), or the sum of two such sums over always the same
halves of the inputs. So how the work is divided changes no digit.
"""

from __future__ import annotations

from typing import Any

from tinylm.engine.barrier import barrier_wait
from tinylm.engine.micro_kernel import (
    BFLOAT16,
    FLOAT32,
    INTERLEAVED,
    KINDS,
    NUMBER_BYTES,
    ONE_ROW_PANELS,
    TILE_PANELS,
    TILE_ROWS,
    micro_kernel,
)
from tinylm.engine.records import float32s
from tinylm.jit.compile import part
from tinylm.jit.llvm import LANES
from tinylm.jit.pointers import at, float32_pointer, int8_pointer

_tile_float32, _tile_bfloat16, _tile_int8 = (micro_kernel(kind, TILE_ROWS, TILE_PANELS) for kind in KINDS)
_row_float32, _row_bfloat16, _row_int8 = (micro_kernel(kind, 1, ONE_ROW_PANELS) for kind in KINDS)


@part
def panel_range(worker: Any, matrix: Any, work: Any) -> Any:
    """The first panel of a worker's share of a matrix, and the one after its last. Interleaved pairs stay together."""
    together = INTERLEAVED[matrix.kind]
    count = matrix.panels // together
    return count * worker // work.workers * together, count * (worker + 1) // work.workers * together


@part
def matmul(matrix: Any, work: Any, worker: Any, x: Any, x_step: Any, out: Any, out_step: Any) -> None:
    """Computes the worker's share of out (rows, outputs) = x (rows, inputs) @ matrix.

    Args:
        x, out: pointers.
        x_step, out_step: numbers from one row to the next.
    """
    first, last = panel_range(worker, matrix, work)
    matmul_panels(matrix, 0, matrix.inputs, work.rows, first, last, x, x_step, out, out_step)


@part
def project_to_residual(matrix: Any, work: Any, worker: Any, phase: Any, by_inputs: Any, x: Any, x_step: Any,
                        out: Any) -> Any:
    """Computes out (2, N, D): what either half of the inputs x (N, inputs) adds to the residual stream.

    Args:
        by_inputs: true if each of two workers has made one half of x. Otherwise all wait for the whole of it.

    Returns:
        the phase of the barrier behind which `out` is complete.
    """
    if by_inputs:
        _multiply_half(matrix, work, worker, 0, matrix.panels, x, x_step, out)
    else:
        phase = barrier_wait(work, worker, phase)
        first, last = panel_range(worker, matrix, work)
        for half in range(2):
            _multiply_half(matrix, work, half, first, last, x, x_step, out)
    return barrier_wait(work, worker, phase)


@part
def _multiply_half(matrix: Any, work: Any, half: Any, first: Any, last: Any, x: Any, x_step: Any, out: Any) -> None:
    """Multiplies the panels first to last of half 0 or 1 of the inputs; a half without inputs gives zeros."""
    start, stop = (0, matrix.cut) if half == 0 else (matrix.cut, matrix.inputs)
    out = at(out, half * work.rows * work.width)
    if start < stop:
        matmul_panels(matrix, start, stop - start, work.rows, first, last, at(x, start), x_step, out, work.width)
    else:
        zeros = float32s(out, work.rows, work.width)
        for n in range(work.rows):
            for d in range(first * LANES, last * LANES):
                zeros[n, d] = 0


@part
def matmul_panels(matrix: Any, start: Any, inputs: Any, rows: Any, first: Any, last: Any, x: Any, x_step: Any, out: Any,
                  out_step: Any) -> None:
    """Computes the panels first to last of out = x @ so many inputs of a matrix, from `start` on: in blocks of panels
    that stay in the cache while all rows pass by."""
    if last <= first:
        return
    most = TILE_PANELS if rows >= TILE_ROWS else ONE_ROW_PANELS
    blocks, pairs = (last - first + most - 1) // most, (last - first + 1) // 2
    weights, scales = int8_pointer(matrix.weights), float32_pointer(matrix.scales)
    for block in range(blocks):
        begin = first + pairs * block // blocks * 2
        end = min(first + pairs * (block + 1) // blocks * 2, last)
        w = at(weights,
               (begin * matrix.inputs + start * INTERLEAVED[matrix.kind]) * LANES * NUMBER_BYTES[matrix.kind])
        row = 0
        while row < rows:
            is_tile = rows - row >= TILE_ROWS
            _run_micro_kernel(matrix, is_tile, end - begin, at(out, row * out_step + begin * LANES), out_step, w,
                              at(scales, begin * LANES), at(x, row * x_step), x_step, inputs)
            row += TILE_ROWS if is_tile else 1


@part
def _run_micro_kernel(matrix: Any, is_tile: Any, panels: Any, out: Any, out_step: Any, w: Any, scales: Any, x: Any,
                      x_step: Any, inputs: Any) -> None:
    """Calls the micro-kernel of a matrix's format, for `TILE_ROWS` rows or for one."""
    step = matrix.inputs * LANES
    if matrix.kind == FLOAT32:
        if is_tile:
            _tile_float32(panels, out, out_step, w, step, scales, x, x_step, inputs)
        else:
            _row_float32(panels, out, out_step, w, step, scales, x, x_step, inputs)
    elif matrix.kind == BFLOAT16:
        if is_tile:
            _tile_bfloat16(panels, out, out_step, w, step, scales, x, x_step, inputs)
        else:
            _row_bfloat16(panels, out, out_step, w, step, scales, x, x_step, inputs)
    elif is_tile:
        _tile_int8(panels, out, out_step, w, step, scales, x, x_step, inputs)
    else:
        _row_int8(panels, out, out_step, w, step, scales, x, x_step, inputs)
