"""Typed pointers in kernels: from an array, or from an address in a record, and on to a later element.

LLVM must see where an address comes from. It may take loads and stores apart, or move them out of a loop, by what it
knows of their pointers, and it knows nothing sound of a pointer that was put together from integers: LLVM 22 makes
wrong code of some such loops. So an address becomes a pointer at once, and all that follows is `at`, LLVM's
getelementptr.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

FLOAT32S, INT64S = types.CPointer(types.float32), types.CPointer(types.int64)
"""The types of pointers to float32 and int64, for signatures of intrinsics."""


@intrinsic
def at(_context: Any, base: Any, _index: Any) -> Any:
    """The pointer to number `index` of an array, all of its axes in a row, or of the numbers behind a pointer."""

    def code(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        kind, (start, index) = signature.args[0], args
        if isinstance(kind, types.Array):
            start = context.make_array(kind)(context, builder, start).data
        return builder.gep(start, [index])

    return types.CPointer(base.dtype)(base, types.int64), code


def _pointer_to(kind: Any) -> Any:
    """Makes an intrinsic (address) -> pointer to numbers of a kind. A pointer to these stays as it is."""
    pointers = types.CPointer(kind)

    @intrinsic
    def pointer(_context: Any, base: Any) -> Any:
        def code(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            is_pointer = signature.args[0] == pointers
            return args[0] if is_pointer else builder.inttoptr(args[0], context.get_value_type(pointers))

        return pointers(pointers if base == pointers else types.int64), code

    return pointer


float32_pointer, float64_pointer = _pointer_to(types.float32), _pointer_to(types.float64)
int8_pointer, int32_pointer, int64_pointer = (_pointer_to(kind) for kind in (types.int8, types.int32, types.int64))
