"""Matrix products of training in 32 bits, by the micro-kernel (micro_kernel.py): the tokens of one core times a matrix
of the model, forward and backward, and the gradient of that matrix.

    packed (P, C, WIDTH): P panels of WIDTH columns each, of a matrix (C, columns); zeros beyond the last column

The second factor of each product is packed, so that what the innermost loop reads lies side by side, and a panel stays
in the cache nearest to the core while all rows pass by (Goto and van de Geijn 2008, "Anatomy of high-performance matrix
multiplication", doi 10.1145/1356052.1356053). Each number of a result is one sum in the order of C, so its digits
depend neither on the width of the processor's vectors nor on the rows that are multiplied together.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tinylm.jit.compile import JIT_DIGEST, digest, kernel, part
from tinylm.jit.llvm import LANES
from tinylm.jit.pointers import at
from tinylm.training.cpu import micro_kernel
from tinylm.training.cpu.micro_kernel import TILE_ROWS, product, row_product

WIDTH = 2 * LANES
"""Columns of a panel."""
BLOCK = 128
"""Tokens whose terms of a matrix's gradient are added up in registers: their panels stay in the cache, too."""
SOURCES = JIT_DIGEST + digest(micro_kernel.__file__)


def panels(columns: int) -> int:
    """The number of panels of so many columns.

    >>> panels(68)
    3
    """
    return -(-columns // WIDTH)


@partial(kernel, sources=SOURCES)
def pack(matrix: Any, first: Any, forward: Any, backward: Any) -> None:
    """Packs a matrix (outputs, inputs) of the model, as the rows from `first` on of one that is made of several: its
    transpose into `forward` (P, inputs, WIDTH), and the matrix itself into `backward` (P, outputs, WIDTH), which may be
    empty."""
    for row in range(matrix.shape[0]):
        panel, lane = (first + row) // WIDTH, (first + row) % WIDTH
        for column in range(matrix.shape[1]):
            forward[panel, column, lane] = matrix[row, column]
        if backward.shape[0]:
            for column in range(matrix.shape[1]):
                backward[column // WIDTH, first + row, column % WIDTH] = matrix[row, column]


@partial(kernel, sources=SOURCES)
def multiply(x: Any, packed: Any, out: Any, edge: Any) -> None:
    """Computes out (N, columns) = x (N, C) @ packed.

    Args:
        edge: scratch memory (TILE_ROWS, WIDTH).
    """
    count = x.shape[1]
    _add_or_set(at(out, 0), out.shape[1], out.shape[0], out.shape[1], at(x, 0), count, 1, packed, count, False, edge)


@partial(kernel, sources=SOURCES)
def add_gradient(dy: Any, x: Any, gradient: Any, packed: Any, edge: Any) -> None:
    """Adds dy^T x to gradient (outputs, inputs), for dy (N, outputs) and x (N, inputs).

    Args:
        packed: scratch memory (P, BLOCK, WIDTH) for `BLOCK` rows of x.
        edge: scratch memory (TILE_ROWS, WIDTH).
    """
    outputs, inputs = gradient.shape
    for first in range(0, x.shape[0], BLOCK):
        count = min(BLOCK, x.shape[0] - first)
        for row in range(count):
            for column in range(inputs):
                packed[column // WIDTH, row, column % WIDTH] = x[first + row, column]
        _add_or_set(at(gradient, 0), inputs, outputs, inputs, at(dy, first * outputs), 1, outputs, packed, count, True,
                    edge)


@part
def _add_or_set(out: Any, out_row: Any, rows: Any, columns: Any, a: Any, a_row: Any, a_column: Any, packed: Any,
                count: Any, add: Any, edge: Any) -> None:
    """out (rows, columns) = or += a (rows, count) @ the first `count` rows of packed, panel by panel.

    Args:
        out, a: pointers; `..._row` and `..._column` are their strides, in numbers.
    """
    tiled = rows // TILE_ROWS * TILE_ROWS
    for panel in range((columns + WIDTH - 1) // WIDTH):
        there, b = min(WIDTH, columns - panel * WIDTH), at(packed, panel * packed.shape[1] * WIDTH)
        target = at(out, panel * WIDTH)
        if there == WIDTH:
            product(target, out_row, tiled, 2, a, a_row, a_column, b, WIDTH, count, add)
        else:
            for row in range(0, tiled, TILE_ROWS):
                tile = at(target, row * out_row)
                _copy(tile, out_row, at(edge, 0), WIDTH, TILE_ROWS, there)
                product(at(edge, 0), WIDTH, TILE_ROWS, 2, at(a, row * a_row), a_row, a_column, b, WIDTH, count, add)
                _copy(at(edge, 0), WIDTH, tile, out_row, TILE_ROWS, there)
        for row in range(tiled, rows):
            _copy(at(target, row * out_row), out_row, at(edge, 0), WIDTH, 1, there)
            row_product(at(edge, 0), WIDTH, at(a, row * a_row), a_row, a_column, b, WIDTH, count, add)
            _copy(at(edge, 0), WIDTH, at(target, row * out_row), out_row, 1, there)


@part
def _copy(source: Any, source_row: Any, target: Any, target_row: Any, rows: Any, columns: Any) -> None:
    for row in range(rows):
        for column in range(columns):
            target[row * target_row + column] = source[row * source_row + column]
