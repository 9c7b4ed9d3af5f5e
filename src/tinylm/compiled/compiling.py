"""How kernels are compiled: once on a machine, on first use, for all instructions that its processor has."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from llvmlite import binding
from numba import njit
from numba.core.caching import FunctionCache
from numba.core.compiler import Compiler
from numba.core.runtime import rtsys

from tinylm.compiled import numbers
from tinylm.compiled.numbers import FASTMATH

binding.set_option("tinylm", "-force-vector-interleave=1")
"""Loops over the 16 numbers of half a head would otherwise be too short for the vector form, which takes 4 x 16."""


def digest(*files: str | Path) -> str:
    """Of what files hold, for names."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:8]


SHARED = digest(numbers.__file__, __file__)
"""A part of the names under which numba keeps what it compiled: it sees when the file of a kernel changes, and not when
these do, from which they take what they share."""
Kernel = TypeVar("Kernel", bound=Callable[..., Any])


class _Apart(Compiler):
    """Compiles under the promise that no two arrays of a call overlap, so loops need not look out for that."""

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()


class _Kept(FunctionCache):
    """What an earlier program has compiled. numba would first load all that it knows of compiling, which takes a fifth
    of the time until a program's first token, and is not needed to call what is machine code already."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)  # which that code calls
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def kernel(function: Kernel, shared: str = SHARED) -> Kernel:
    """Compiles a function; while it runs, other threads of Python go on. Its arrays must not overlap.

    Args:
        shared: a digest of all that it uses from other files.
    """
    function.__qualname__ += f"-{shared}"
    compiled: Any = njit(nogil=True, fastmath=FASTMATH, error_model="numpy", pipeline_class=_Apart)(function)
    with suppress(RuntimeError):  # no folder can be written: then every program compiles for itself
        compiled._cache = _Kept(function)
    return cast(Kernel, compiled)


def apart(function: Kernel) -> Kernel:
    """Is called by kernels only, with arrays that do not overlap."""
    compiled: Kernel = njit(nogil=True, fastmath=FASTMATH, error_model="numpy", pipeline_class=_Apart,
                            no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled


def part(function: Kernel) -> Kernel:
    """Is called by kernels. The compiler decides whether it becomes part of them."""
    compiled: Kernel = njit(nogil=True, fastmath=FASTMATH, error_model="numpy")(function)
    return compiled


def is_compiled(compiled: Any) -> bool:
    """Whether an earlier program has left this kernel compiled."""
    index = getattr(getattr(compiled._cache, "_cache_file", None), "_index_path", None)
    return index is not None and Path(index).exists()


@cache
def announce(compiled: Any, told: str) -> None:
    """Says beforehand what takes long, on the first use on a machine; once in a program.

    Args:
        told: what it is, and how long it takes.
    """
    if not is_compiled(compiled):
        print(f"compiling  {told}", file=sys.stderr, flush=True)
