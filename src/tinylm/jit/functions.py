"""Scalar functions that kernels call: exp and what is made of it, the activation functions of an MLP, and hashing.

Each one becomes machine instructions in the loop that calls it, and the loop becomes vector code. numba's own `exp`
would be a call for each number.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
"""Sums may be reordered and products fused. Not in it: the licence to assume that no number is infinite or NaN."""
_I32, _F32 = ir.IntType(32), ir.FloatType()
_FMA_TYPE = ir.FunctionType(_F32, [_F32] * 3)


# ---- instructions


@intrinsic
def _rint(_context: Any, number: Any) -> Any:
    """Rounds a float32 to the nearest whole number, as a float32."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.call(builder.module.declare_intrinsic("llvm.rint", (_F32,)), args)

    return types.float32(types.float32), code


@intrinsic
def _fma(_context: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z, with one rounding where the processor has an instruction for that. The licence of `FASTMATH` to
    reorder sums does not take it apart."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.call(builder.module.declare_intrinsic("llvm.fmuladd", (_F32,), _FMA_TYPE), args)

    return types.float32(types.float32, types.float32, types.float32), code


@intrinsic
def maximum(_context: Any, x: Any, y: Any) -> Any:
    """The larger of two numbers; either one, if one is NaN. Over an array it becomes vector code, while `max` does not
    because of its care of NaN."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        above = builder.fcmp_ordered(">", *args, flags=("nnan", "nsz"))
        return builder.select(above, *args, flags=("nnan", "nsz"))

    return types.float32(types.float32, types.float32), code


@intrinsic
def _exp2(_context: Any, number: Any) -> Any:
    """2 to a whole number between -126 and 127, made by placing that number in the exponent bits of a float32."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        exponent = builder.add(builder.fptosi(args[0], _I32), _I32(127))
        return builder.bitcast(builder.shl(exponent, _I32(23)), _F32)

    return types.float32(types.float32), code


@intrinsic
def hash32(_context: Any, index: Any, key: Any) -> Any:
    """32 random-looking bits, a function of an index and a key alone: `lowbias32` of the index under the key (Wellons
    2018, "Prospecting for hash functions", nullprogram.com)."""

    def code(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        value, key = (builder.trunc(each, _I32) for each in args)
        value = builder.xor(builder.mul(value, _I32(0x9E3779B1)), key)
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            value = builder.mul(builder.xor(value, builder.lshr(value, _I32(shift))), _I32(factor))
        return builder.xor(value, builder.lshr(value, _I32(16)))

    return types.uint32(types.int64, types.int64), code


# ---- exp and sigmoid

_helper = njit(nogil=True, fastmath=FASTMATH, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_LOWEST, _HIGHEST = np.float32(-87.0), np.float32(88.0)
_LOG2_E = np.float32(1.44269504)
_MINUS_LN2_HIGH, _MINUS_LN2_LOW = np.float32(-0.693359375), np.float32(2.12194440e-4)
"""-ln(2) as a sum of two float32, to more digits than one holds (Cody and Waite 1980)."""
_C2, _C3, _C4, _C5, _C6 = (np.float32(c) for c in (0.5, 1.6666666e-1, 4.1666663e-2, 8.3334519e-3, 1.3888889e-3))
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@_helper
def exp(x: Any) -> Any:
    """e to the x in 32 bits, off by less than 4e-7 of itself. x = n ln(2) + r with a whole n and |r| <= ln(2) / 2; so
    exp(x) = 2^n exp(r), the second factor by six terms of its Taylor series."""
    x = min(max(x, _LOWEST), _HIGHEST)
    whole = _rint(x * _LOG2_E)
    rest = _fma(whole, _MINUS_LN2_LOW, _fma(whole, _MINUS_LN2_HIGH, x))
    series = _C2 + rest * (_C3 + rest * (_C4 + rest * (_C5 + rest * _C6)))
    return (_ONE + rest + rest * rest * series) * _exp2(whole)


@_helper
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return _ONE / (_ONE + exp(-x))


# ---- activation functions: of the engine's forward pass, and of the forward pass of training on a CPU

GELU_SCALE, GELU_CUBIC = np.float32(2 * math.sqrt(2 / math.pi)), np.float32(0.044715)
"""Constants of `gelu`."""


@_helper
def relu(x: Any) -> Any:
    """max(x, 0)."""
    return max(x, _ZERO)


@_helper
def squared_relu(x: Any) -> Any:
    """max(x, 0)^2 (So et al. 2021, arXiv 2109.08668)."""
    positive = max(x, _ZERO)
    return positive * positive


@_helper
def gelu(x: Any) -> Any:
    """x * (1 + tanh(u)) / 2 = x * sigmoid(2u) with u = sqrt(2/pi) * (x + 0.044715 x^3) (Hendrycks and Gimpel 2016,
    arXiv 1606.08415)."""
    return x * sigmoid(GELU_SCALE * (x + GELU_CUBIC * x * x * x))


@_helper
def silu(x: Any) -> Any:
    """x * sigmoid(x): the activation function of a gate in SwiGLU (Shazeer 2020, arXiv 2002.05202)."""
    return x * sigmoid(x)
