"""How kernels and Python share memory: arrays that begin where a vector may, records of sizes and addresses, and views
of addresses as arrays.

A kernel gets its whole world in three records (a model, its layers, and the work to do), so that a call costs next to
nothing however much it needs to know.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic
from numpy.typing import DTypeLike, NDArray

from tinylm.jit.compile import part
from tinylm.sampling.filters import SamplingParams

ALIGNED = 4096
"""Bytes of a page. A vector needs 64; but with matrices that begin in the midst of a page, two cores took 22 to 28
microseconds for a token of a model of 0.8M, as chance would have it, and with these 22 to 24."""


def aligned_zeros(shape: tuple[int, ...], kind: DTypeLike) -> NDArray[Any]:
    """Zeros that begin with a page of memory. Pages that nobody writes take no memory."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    raw = np.zeros(size + ALIGNED, np.uint8)
    start = -raw.ctypes.data % ALIGNED
    return raw[start:start + size].view(kind).reshape(shape)


def round_up(count: int, step: int) -> int:
    """To the next multiple."""
    return -(-count // step) * step


def address_of(array: NDArray[Any] | None) -> int:
    """0 for none."""
    return 0 if array is None else array.ctypes.data


def _record(**fields: Any) -> np.dtype[Any]:
    kinds = {int: "i8", float: "f4"}
    return np.dtype([(name, kinds.get(kind, kind)) for name, kind in fields.items()])


MATRIX = _record(weights=int, scales=int, kind=int, inputs=int, panels=int, cut=int)
"""`weights`, `scales`: addresses. `kind`: tiles.py. `panels`: of 16 outputs. `cut`: how many inputs are in the first of
two halves that are summed apart (products.py)."""
LAYER = _record(norm1=int, norm1_bias=int, qkv=MATRIX, qkv_bias=int, q_norm=int, k_norm=int, o=MATRIX, o_bias=int,
                norm2=int, norm2_bias=int, up=MATRIX, up_bias=int, gate=MATRIX, gate_bias=int, down=MATRIX,
                down_bias=int)
"""The addresses of a layer's weights, 0 where it has none."""
MODEL = _record(d_model=int, n_layers=int, n_heads=int, n_kv_heads=int, d_head=int, d_mlp=int, vocab_size=int,
                mlp=int, post=int, layernorm=int, rotary=int, eps=float, scale=float, embed=int, positions=int,
                ln_f=int, ln_f_bias=int, head=MATRIX, head_bias=int)
"""`mlp`: an index into MLPS. `embed`, `positions`: addresses of rows."""
MLPS = ("relu", "gelu", "squared_relu", "swiglu")
SAMPLING = _record(bias=int, counts=int, uniforms=int, forced=int, n_forced=int, eos=int,
                 **{name: np.dtype(type(default)) for name, default in SamplingParams._field_defaults.items()})
"""How the ids of one text are chosen: the addresses of `bias` and `counts` (V,) and of `uniforms`, a number a step; the
ids that are forced in the first steps; the id that ends it; and the settings (sampling/filters.py)."""
WORK = _record(rows=int, first_output=int, steps=int, logits_given=int, workers=int, arrivals=int, sched_yield=int,
               finite=int, ended=int, chosen=int, ids=int, positions=int, keys=int, values=int, capacities=int,
               cos=int, sin=int, x=int, normed=int, qkv=int, z=int, branch=int, gate=int, hidden=int, scores=int,
               logits=int, width=int, hidden_width=int, qkv_width=int, logits_width=int, worker_stride=int,
               scores_width=int)
"""`rows` positions, of any streams, whose ids, places in their streams, and caches (keys, values, and how many
positions have room in them) stand at these addresses; then the buffers, each of so many rows of some width. Of `steps`
the first needs no pass if its logits are given. `worker_stride` is the step from one worker's rows to the
next one's."""


def _pointer_to(kind: Any) -> Any:
    @intrinsic
    def pointer(_context: Any, _address: Any) -> Any:
        def code(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.int64), code

    return pointer


_floats, _doubles = _pointer_to(types.float32), _pointer_to(types.float64)
_integers, _counts = _pointer_to(types.int64), _pointer_to(types.int32)


@part
def floats(address: Any, rows: Any, columns: Any) -> Any:
    """(rows, columns) float32 at an address."""
    return carray(_floats(address), (rows, columns))


@part
def integers(address: Any, count: Any) -> Any:
    """(count,) int64 at an address."""
    return carray(_integers(address), (count,))


@part
def counts(address: Any, count: Any) -> Any:
    """(count,) int32 at an address."""
    return carray(_counts(address), (count,))


@part
def doubles(address: Any, count: Any) -> Any:
    """(count,) float64 at an address."""
    return carray(_doubles(address), (count,))
