"""Self-tests of compiled code: results against those of a reference, once for each processor and version.

A compiler can be wrong about a processor that nobody has tried. So a path of compiled code is not used before a
self-test found it right. The verdict is kept beside the code, and costs later programs a look at one small file. Where
the code is wrong, whoever would use it takes the reference instead, and a note says so.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numpy.typing import NDArray

from tinylm.system.files import write_atomically

Comparison = tuple[str, NDArray[np.floating[Any]], NDArray[np.floating[Any]]]
"""The name of a result, the result, and what it should be."""
DIED = "no result"
"""The beginning of `Verdict.where` if a self-test did not come to its end."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a self-test.

    Attributes:
        error: the largest distance of a result from the reference, as a share of the reference's length; infinite: the
            result is not finite, or there is none.
        limit: the largest error of code that is right.
        where: the result with that error, or why there is none.

    >>> Verdict(0.25, 0.01, "ln_f.weight").is_right
    False
    >>> print(Verdict(0.25, 0.01, "ln_f.weight"))
    ln_f.weight is off by 25%, and 1% is the limit
    """

    error: float
    limit: float
    where: str

    @property
    def is_right(self) -> bool:
        return self.error <= self.limit

    def __str__(self) -> str:
        if self.where.startswith(DIED):
            return self.where
        off = f"off by {self.error:.2g}" if self.error < 1e-4 else f"off by {100 * self.error:.3g}%"
        off = off if math.isfinite(self.error) else "not finite"
        return f"{self.where} is {off}, and {100 * self.limit:.3g}% is the limit"


def no_result(reason: str) -> Verdict:
    """The verdict on code that ended a self-test.

    >>> print(no_result("SIGILL"))
    no result: SIGILL
    """
    return Verdict(math.inf, 0.0, f"{DIED}: {reason}")


def compare(results: Iterable[Comparison], limit: float) -> Verdict:
    """Compares results with a reference.

    >>> compare([("a", np.ones(4), np.ones(4)), ("b", np.ones(4), np.full(4, 2.0))], 0.1)
    Verdict(error=0.5, limit=0.1, where='b')
    """
    worst = Verdict(0.0, limit, "nothing")
    for name, result, expected in results:
        length = float(np.linalg.norm(expected.astype(np.float64)))
        error = float(np.linalg.norm(result.astype(np.float64) - expected)) / (length or 1.0)
        error = error if math.isfinite(error) else math.inf
        worst = Verdict(error, limit, name) if error >= worst.error else worst
    return worst


class SelfTest:
    """A self-test of one path of compiled code, whose verdict is kept.

    Args:
        name: of the path, for people, such as "the engine with int8 weights".
        compiled: a kernel of the path: the verdict lies beside its machine code, and holds for its processor.
        sources: what else the verdict depends on: digests of source files, versions.
        test: computes the verdict.
        instead: a sentence on what is done where the code is wrong.
    """

    def __init__(self, name: str, compiled: Any, sources: str, test: Callable[[], Verdict], instead: str) -> None:
        self.name, self._compiled, self._sources, self._test, self._instead = name, compiled, sources, test, instead

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict: of this program, of an earlier one, or else of the test now. A wrong one is said, once."""
        verdict = self.kept() or self.run()
        if not verdict.is_right:
            print(f"note       {self.name} gives wrong results on this processor: {verdict}. {self._instead}. To test "
                  "it again: tinylm machine", file=sys.stderr, flush=True)
        return verdict

    def run(self) -> Verdict:
        """Tests now, whatever is known, and keeps the verdict. That of an exception is not kept: it may be the moment's
        own, as a lack of memory is."""
        try:
            verdict = self._test()
        except Exception as error:
            return no_result(f"{type(error).__name__}: {error}")
        self.keep(verdict)
        return verdict

    def kept(self) -> Verdict | None:
        """The verdict that an earlier program left, if any."""
        with suppress(OSError, ValueError, TypeError):
            if path := self._path():
                return Verdict(**json.loads(path.read_text(encoding="utf-8")))
        return None

    def keep(self, verdict: Verdict) -> None:
        """Takes a verdict for this program, and leaves it for later ones where compiled code is kept."""
        vars(self)["verdict"] = verdict
        with suppress(OSError):
            if path := self._path():
                write_atomically(path, json.dumps(asdict(verdict)))

    def _path(self) -> Path | None:
        folder = folder_of(self._compiled)
        target = self._compiled.targetctx.codegen().magic_tuple()  # the processor, as numba sees it
        key = repr((self.name, target, self._sources, numba.__version__, llvmlite.__version__))
        return Path(folder, f"self-test-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json") if folder else None


def folder_of(compiled: Any) -> str | None:
    """The folder of a kernel's machine code; None: it is not kept."""
    folder: str | None = compiled._cache.cache_path
    return folder
