"""Numbers inside the kernels: bfloat16 in storage, 32 bits in the registers; and an exp that a compiler can vectorise.

A bfloat16 is the upper half of a 32-bit float. NumPy has no such type, so arrays of it are arrays of uint16. Each
function here becomes a few machine instructions in the loop that calls it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
"""Sums may be reordered and products fused. Not in it: the licence to assume that no number is infinite or NaN."""

_I16, _I32, _F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()


@intrinsic
def to_float32(_context: Any, number: Any) -> Any:
    """A stored number as float32."""

    def code(_context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        if signature.args[0] == types.float32:
            return args[0]
        return builder.bitcast(builder.shl(builder.zext(args[0], _I32), _I32(16)), _F32)

    return types.float32(number), code


@intrinsic
def cast_like(_context: Any, array: Any, _number: Any) -> Any:
    """A float32 as `array` stores its numbers: as bfloat16 the nearest, halves to even."""

    def code(_context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        if signature.return_type == types.float32:
            return args[1]
        bits = builder.bitcast(args[1], _I32)
        even = builder.and_(builder.lshr(bits, _I32(16)), _I32(1))
        rounded = builder.add(builder.add(bits, _I32(0x7FFF)), even)
        return builder.trunc(builder.lshr(rounded, _I32(16)), _I16)

    return array.dtype(array, types.float32), code


@intrinsic
def _rint(_context: Any, number: Any) -> Any:
    """float32 -> the nearest whole number, as float32."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.call(builder.module.declare_intrinsic("llvm.rint", (_F32,)), args)

    return types.float32(types.float32), code


@intrinsic
def _fma(_context: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z with one rounding, which no licence to reorder sums takes apart."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return types.float32(types.float32, types.float32, types.float32), code


@intrinsic
def greater(_context: Any, x: Any, y: Any) -> Any:
    """Of two numbers; any, if one is NaN. Over an array it becomes vector code, which `max` with its care of NaN does
    not."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        above = builder.fcmp_ordered(">", *args, flags=("nnan", "nsz"))
        return builder.select(above, *args, flags=("nnan", "nsz"))

    return types.float32(types.float32, types.float32), code


@intrinsic
def _exp2(_context: Any, number: Any) -> Any:
    """2 to a whole number between -126 and 127: it is put where a float keeps its exponent."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        exponent = builder.add(builder.fptosi(args[0], _I32), _I32(127))
        return builder.bitcast(builder.shl(exponent, _I32(23)), _F32)

    return types.float32(types.float32), code


@intrinsic
def hash32(_context: Any, index: Any, key: Any) -> Any:
    """32 random-looking bits that follow from an index and a key alone: two rounds of multiply and shift."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        value, key = (builder.trunc(each, _I32) for each in args)
        value = builder.xor(builder.mul(value, _I32(0x9E3779B1)), key)
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            value = builder.mul(builder.xor(value, builder.lshr(value, _I32(shift))), _I32(factor))
        return builder.xor(value, builder.lshr(value, _I32(16)))

    return types.uint32(types.int64, types.int64), code


_helper = njit(nogil=True, fastmath=FASTMATH, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_LOWEST, _HIGHEST = np.float32(-87.0), np.float32(88.0)
_LOG2_E = np.float32(1.44269504)
_MINUS_LN2_HIGH, _MINUS_LN2_LOW = np.float32(-0.693359375), np.float32(2.12194440e-4)
"""Together -ln(2), to more digits than one number holds."""
_C2, _C3, _C4, _C5, _C6 = (np.float32(c) for c in (0.5, 1.6666666e-1, 4.1666663e-2, 8.3334519e-3, 1.3888889e-3))
_ONE = np.float32(1.0)


@_helper
def exp(x: Any) -> Any:
    """e to the x in 32 bits, off by less than 4e-7 of itself: 2 to a whole number times a Taylor series of the rest."""
    x = min(max(x, _LOWEST), _HIGHEST)
    whole = _rint(x * _LOG2_E)
    rest = _fma(whole, _MINUS_LN2_LOW, _fma(whole, _MINUS_LN2_HIGH, x))  # |rest| <= ln(2)/2
    series = _C2 + rest * (_C3 + rest * (_C4 + rest * (_C5 + rest * _C6)))
    return (_ONE + rest + rest * rest * series) * _exp2(whole)


@_helper
def sigmoid(x: Any) -> Any:
    """1 / (1 + e to the -x)."""
    return _ONE / (_ONE + exp(-x))
