"""bfloat16 in kernels: 16 bits in memory, 32 bits in the registers.

A bfloat16 is the upper half of a float32 (Wang and Kanwar 2019, "BFloat16: The secret to high performance on Cloud
TPUs"). NumPy has no such type, so arrays of it are arrays of uint16. Each function here becomes a few machine
instructions in the loop that calls it, and none where the array holds float32.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I16, _I32, _F32 = ir.IntType(16), ir.IntType(32), ir.FloatType()


@intrinsic
def to_float32(_context: Any, number: Any) -> Any:
    """Reads a float32, or the bits of a bfloat16 in a uint16, as float32."""

    def code(_context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        if signature.args[0] == types.float32:
            return args[0]
        return builder.bitcast(builder.shl(builder.zext(args[0], _I32), _I32(16)), _F32)

    return types.float32(number), code


@intrinsic
def cast_like(_context: Any, array: Any, _number: Any) -> Any:
    """Rounds a float32 to the type in which `array` holds its numbers: to the nearest bfloat16, halves to even."""

    def code(_context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        if signature.return_type == types.float32:
            return args[1]
        bits = builder.bitcast(args[1], _I32)
        even = builder.and_(builder.lshr(bits, _I32(16)), _I32(1))
        rounded = builder.add(builder.add(bits, _I32(0x7FFF)), even)
        return builder.trunc(builder.lshr(rounded, _I32(16)), _I16)

    return array.dtype(array, types.float32), code
