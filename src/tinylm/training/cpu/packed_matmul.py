"""Matrix products of training in 32 bits, by the micro-kernel (micro_kernel.py): the tokens of one core times a matrix
of the model, forward and backward, the gradient of that matrix, and the products of Muon.

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
from tinylm.training.cpu.micro_kernel import TALL_ROWS, row_product, tall_product

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
    _pack_transpose(matrix, first, forward)
    if backward.shape[0]:
        _pack(matrix, first, backward)


@partial(kernel, sources=SOURCES)
def multiply(x: Any, packed: Any, out: Any, edge: Any) -> None:
    """Computes out (N, columns) = x (N, C) @ packed.

    Args:
        edge: scratch memory (TALL_ROWS, WIDTH).
    """
    _multiply(x, packed, out, edge)


@partial(kernel, sources=SOURCES)
def add_gradient(dy: Any, x: Any, gradient: Any, packed: Any, edge: Any) -> None:
    """Adds dy^T x to gradient (outputs, inputs), for dy (N, outputs) and x (N, inputs).

    Args:
        packed: scratch memory (P, BLOCK, WIDTH) for `BLOCK` rows of x.
        edge: scratch memory (TALL_ROWS, WIDTH).
    """
    outputs, inputs = gradient.shape
    for first in range(0, x.shape[0], BLOCK):
        count = min(BLOCK, x.shape[0] - first)
        _pack(x[first:first + count], 0, packed)
        _add_or_set(at(gradient, 0), inputs, outputs, inputs, at(dy, first * outputs), 1, outputs, packed, count, True,
                    edge)


@partial(kernel, sources=SOURCES)
def odd_polynomial(x: Any, a: Any, b: Any, c: Any, out: Any, transposed: Any, packed: Any, packed_gram: Any, grams: Any,
                   edge: Any) -> None:
    """Computes out = a x + b (x x^T) x + c (x x^T)^2 x of each matrix x, (N, rows, columns).

    Args:
        transposed, packed, packed_gram: scratch memory, zeros, for a packed x^T, x and x x^T.
        grams: scratch memory (2, rows, rows).
        edge: scratch memory (TALL_ROWS, WIDTH).
    """
    gram, factor = grams[0], grams[1]
    for n in range(x.shape[0]):
        _pack_transpose(x[n], 0, transposed)
        _multiply(x[n], transposed, gram, edge)
        _pack(gram, 0, packed_gram)
        _multiply(gram, packed_gram, factor, edge)
        for row in range(gram.shape[0]):
            for column in range(gram.shape[1]):
                factor[row, column] = b * gram[row, column] + c * factor[row, column]
        _pack(x[n], 0, packed)
        _multiply(factor, packed, out[n], edge)
        for row in range(x.shape[1]):
            for column in range(x.shape[2]):
                out[n, row, column] += a * x[n, row, column]


@part
def _pack(matrix: Any, first: Any, packed: Any) -> None:
    """Packs a matrix as the rows from `first` on of a higher one."""
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            packed[column // WIDTH, first + row, column % WIDTH] = matrix[row, column]


@part
def _pack_transpose(matrix: Any, first: Any, packed: Any) -> None:
    """Packs the transpose of a matrix as the columns from `first` on of a wider one."""
    for row in range(matrix.shape[0]):
        panel, lane = (first + row) // WIDTH, (first + row) % WIDTH
        for column in range(matrix.shape[1]):
            packed[panel, column, lane] = matrix[row, column]


@part
def _multiply(x: Any, packed: Any, out: Any, edge: Any) -> None:
    count = x.shape[1]
    _add_or_set(at(out, 0), out.shape[1], out.shape[0], out.shape[1], at(x, 0), count, 1, packed, count, False, edge)


@part
def _add_or_set(out: Any, out_row: Any, rows: Any, columns: Any, a: Any, a_row: Any, a_column: Any, packed: Any,
                count: Any, add: Any, edge: Any) -> None:
    """out (rows, columns) = or += a (rows, count) @ the first `count` rows of packed, panel by panel.

    Args:
        out, a: pointers; `..._row` and `..._column` are their strides, in numbers.
    """
    tiled = rows // TALL_ROWS * TALL_ROWS
    for panel in range((columns + WIDTH - 1) // WIDTH):
        there, b = min(WIDTH, columns - panel * WIDTH), at(packed, panel * packed.shape[1] * WIDTH)
        target = at(out, panel * WIDTH)
        if there == WIDTH:
            tall_product(target, out_row, tiled, 2, a, a_row, a_column, b, WIDTH, count, add)
        else:
            for row in range(0, tiled, TALL_ROWS):
                tile = at(target, row * out_row)
                _copy(tile, out_row, at(edge, 0), WIDTH, TALL_ROWS, there)
                tall_product(at(edge, 0), WIDTH, TALL_ROWS, 2, at(a, row * a_row), a_row, a_column, b, WIDTH, count,
                             add)
                _copy(at(edge, 0), WIDTH, tile, out_row, TALL_ROWS, there)
        for row in range(tiled, rows):
            _copy(at(target, row * out_row), out_row, at(edge, 0), WIDTH, 1, there)
            row_product(at(edge, 0), WIDTH, at(a, row * a_row), a_row, a_column, b, WIDTH, count, add)
            _copy(at(edge, 0), WIDTH, at(target, row * out_row), out_row, 1, there)


@part
def _copy(source: Any, source_row: Any, target: Any, target_row: Any, rows: Any, columns: Any) -> None:
    for row in range(rows):
        for column in range(columns):
            target[row * target_row + column] = source[row * source_row + column]
