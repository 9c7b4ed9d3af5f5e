"""Compiling kernels: once on a machine, on first use, for all instructions that its processor has.

`kernel` compiles a function that Python calls, and keeps its machine code for later programs. `part` and
`noalias_part` compile functions that only kernels call.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from llvmlite import binding
from llvmlite.binding import Linkage
from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.runtime import rtsys

from tinylm.jit.cache import CacheLocators, installed_files, warn_not_kept
from tinylm.jit.functions import FASTMATH
from tinylm.jit.llvm import LANES, LOOP_LANES


def digest(*files: str | Path) -> str:
    """Hashes the version of tinylm, and source files or folders of them, to 8 hexadecimal digits. Files that cannot be
    read, as in an archive or where there is bytecode alone, are left to the version.

    >>> digest(Path(__file__).parent) == JIT_DIGEST
    True
    """
    content = hashlib.sha256(sys.modules["tinylm"].__version__.encode())
    for file in map(Path, files):
        for path in sorted(file.glob("*.py")) if file.is_dir() else [file]:
            with suppress(OSError):
                content.update(path.read_bytes())
    return content.hexdigest()[:8]


JIT_DIGEST = digest(Path(__file__).parent)
"""Digest of this package, a part of the names under which numba keeps machine code. numba compiles a kernel anew when
the file of the kernel changes, but does not see changes of the files that the kernel takes its parts from."""
Kernel = TypeVar("Kernel", bound=Callable[..., Any])
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}


class _PartLibrary(JITCodeLibrary):
    """Code of a part, of which only the kernels that call the part make machine code: with all its parts in it, a
    kernel is optimised once.

    numba would optimise a part by itself, make machine code of it, and link a copy into each of its callers, which are
    parts again: the micro-kernels of the engine were compiled once for every function above them.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _KernelLibrary(_PartLibrary):
    """Machine code of a kernel together with its parts.

    numba leaves the parts open to replacement (`linkonce_odr`) by functions of the same name in other kernels, where
    LLVM may have put sums in another order: the program that compiles a kernel could compute other last digits than
    later ones, which load the kernel from the cache.
    """

    def _optimize_final_module(self) -> None:
        self._shared_module = self._final_module.clone()  # for kernels that have this one as a part
        for function in self._shared_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "linkonce_odr"
        with _short_vector_loops():
            JITCodeLibrary._optimize_final_module(self)
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = "internal"

    def _finalize_final_module(self) -> None:
        JITCodeLibrary._finalize_final_module(self)


@contextmanager
def _short_vector_loops() -> Iterator[None]:
    """Makes LLVM's vector loops take 16 numbers at a time within the block, in as many registers as that needs. By
    LLVM's own choice they take four registers, so loops over the 16 numbers of half a head would be too short. Numba
    lets no other thread compile meanwhile, so LLVM's options are the block's alone."""
    _interleave(LANES // LOOP_LANES)
    try:
        yield
    finally:
        _interleave(0)


def _interleave(registers: int) -> None:
    """Sets how many registers a vector loop takes at a time; 0: LLVM chooses."""
    binding.set_option("tinylm", f"-force-vector-interleave={registers}")


class _KernelCompiler(Compiler):
    """Compiles into a `_KernelLibrary`, under the promise that no two arrays of a call overlap, so loops need not look
    out for that."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.flags.noalias = True
        state.library = _KernelLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().define_pipelines()


class _PartCompiler(Compiler):
    """Compiles into a `_PartLibrary`. Where Python calls a part, as tests do, a kernel of the same function runs."""

    is_noalias = False

    def define_pipelines(self) -> Any:
        state = self.state
        state.flags.noalias, state.flags.no_compile = self.is_noalias, True
        state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        state.library = _PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()

    def compile_extra(self, func: Any) -> Any:
        found = super().compile_extra(func)
        entry = njit(pipeline_class=_KernelCompiler, **_OPTIONS)(func)
        found.target_context.insert_user_function(entry, found.fndesc, [found.library])
        return found._replace(entry_point=entry)


class _NoAliasPartCompiler(_PartCompiler):
    """Compiles a part under the promise that its arrays do not overlap."""

    is_noalias = True


class _KernelCache(FunctionCache):
    """Machine code that earlier programs left. numba would first load all that it knows of compiling, which takes a
    fifth of the time until a program's first token, and is not needed to call what is machine code already."""

    _impl_class = CacheLocators

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self.places = self._cache_file, installed_files(self._impl)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Machine code, or None where there is none that can be loaded: numba then compiles anew."""
        rtsys.initialize(target_context)  # which that code calls
        key = self._index_key(sig, target_context.codegen())
        return next(filter(None, (self._load(place, key, target_context) for place in self.places)), None)

    def _load(self, place: IndexDataCacheFile, key: Any, target_context: Any) -> Any:
        try:
            data = place.load(key)
            return data and self._impl.rebuild(target_context, data)
        except OSError:
            return None
        except Exception:  # a file that was cut short, in whatever way unpickling then fails
            with suppress(OSError):
                os.unlink(place._index_path)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps machine code for later programs, or says why that cannot be."""
        try:
            self._save_overload(sig, data)
        except OSError as error:
            warn_not_kept(self._cache_path, error)


def kernel(function: Kernel, sources: str = JIT_DIGEST) -> Kernel:
    """Compiles a function that Python calls. While it runs, other threads of Python go on. Its arrays must not overlap.

    Args:
        sources: a digest of all files from which the function uses something.
    """
    function.__qualname__ += f"-{sources}"
    compiled: Any = njit(pipeline_class=_KernelCompiler, **_OPTIONS)(function)
    with suppress(RuntimeError):  # no folder can be written: then every program compiles for itself
        compiled._cache = _KernelCache(function)
    return cast(Kernel, compiled)


def noalias_part(function: Kernel) -> Kernel:
    """Compiles a function that only kernels call, with arrays that do not overlap."""
    return _part(function, _NoAliasPartCompiler)


def part(function: Kernel) -> Kernel:
    """Compiles a function that kernels call. LLVM decides whether its code is copied into theirs."""
    return _part(function, _PartCompiler)


def _part(function: Kernel, compiler: type[Compiler]) -> Kernel:
    compiled: Any = njit(pipeline_class=compiler, **_OPTIONS)(function)
    # numba would also tell the dispatcher, which takes machine code only
    compiled.add_overload = lambda found: compiled.overloads.update({found.signature.args: found})
    return cast(Kernel, compiled)
