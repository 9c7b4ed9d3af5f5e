"""How kernels are compiled: once on a machine, on first use, for all instructions that its processor has."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from llvmlite import binding
from numba import njit
from numba.core.caching import FunctionCache
from numba.core.compiler import Compiler
from numba.core.runtime import rtsys

from tinylm.jit import bfloat16
from tinylm.jit.bfloat16 import FASTMATH
from tinylm.jit.cache import CacheLocators, warn_not_kept

binding.set_option("tinylm", "-force-vector-interleave=1")
"""Loops over the 16 numbers of half a head would otherwise be too short for the vector form, which takes 4 x 16."""


def digest(*files: str | Path) -> str:
    """Of what files hold, for names."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:8]


SHARED_DIGEST = digest(bfloat16.__file__, __file__)
"""A part of the names under which numba keeps what it compiled: it sees when the file of a kernel changes, and not when
these do, from which they take what they share."""
Kernel = TypeVar("Kernel", bound=Callable[..., Any])


class _NoAliasCompiler(Compiler):
    """Compiles under the promise that no two arrays of a call overlap, so loops need not look out for that."""

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()


class _KernelCache(FunctionCache):
    """What an earlier program has compiled. numba would first load all that it knows of compiling, which takes a fifth
    of the time until a program's first token, and is not needed to call what is machine code already."""

    _impl_class = CacheLocators

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Machine code, or None where there is none that can be loaded: then it is compiled anew."""
        rtsys.initialize(target_context)  # which that code calls
        try:
            return self._load_overload(sig, target_context)
        except OSError:
            return None
        except Exception:  # a file that was cut short, in whatever way unpickling then fails
            with suppress(OSError):
                os.unlink(self._cache_file._index_path)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps machine code for the next program, or says why that cannot be."""
        try:
            self._save_overload(sig, data)
        except OSError as error:
            warn_not_kept(self._cache_path, error)


def kernel(function: Kernel, shared: str = SHARED_DIGEST) -> Kernel:
    """Compiles a function; while it runs, other threads of Python go on. Its arrays must not overlap.

    Args:
        shared: a digest of all that it uses from other files.
    """
    function.__qualname__ += f"-{shared}"
    compiled: Any = njit(nogil=True, fastmath=FASTMATH, error_model="numpy", pipeline_class=_NoAliasCompiler)(function)
    with suppress(RuntimeError):  # no folder can be written: then every program compiles for itself
        compiled._cache = _KernelCache(function)
    return cast(Kernel, compiled)


def noalias_helper(function: Kernel) -> Kernel:
    """Is called by kernels only, with arrays that do not overlap."""
    compiled: Kernel = njit(nogil=True, fastmath=FASTMATH, error_model="numpy", pipeline_class=_NoAliasCompiler,
                            no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled


def part(function: Kernel) -> Kernel:
    """Is called by kernels. The compiler decides whether it becomes part of them."""
    compiled: Kernel = njit(nogil=True, fastmath=FASTMATH, error_model="numpy")(function)
    return compiled
