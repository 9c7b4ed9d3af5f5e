"""Compilation of a run's kernels in processes of their own, while the run imports torch and reads its text: the
compiler takes one core, and the work before the first step takes one, too.

    python -m tinylm.runs.precompile [SHARE...]

compiles shares, or all of them, one after another, and leaves them on disk, where kernels are looked for before they
are compiled. setup.py runs it, too, so that a package that was built on this machine brings its kernels compiled. Where
this does not come about nothing is lost but time: what is missing is compiled when it is needed.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from llvmlite import binding
from numba import float32, float64, int64, types, uint16

from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.jit.cache import is_compiled, is_kept
from tinylm.sampling.filters import choose
from tinylm.sampling.sampler import Sampler
from tinylm.system.cores import arm_has_bfloat16, available_cores
from tinylm.system.memory import available_memory_bytes
from tinylm.training.cpu import attention, kernels, packed_matmul
from tinylm.training.cpu.activations import ACTIVATIONS

Signatures = list[tuple[Any, tuple[Any, ...]]]
"""Kernels, each with the types of its arguments."""
ACTIVATION = "swiglu"
HELPER_BYTES = 200_000_000
"""Memory of a process that compiles, measured on Linux. As much again for each is left to the run, and to others."""
NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Windows would open a console for each child of a program that has none, such as Jupyter's kernel."""
ACTIVATION_BITS = 16 if binding.get_host_cpu_features().get("avx512bf16") or arm_has_bfloat16() else 32
"""Bits of an activation in training (training/precision.py): 16 where the processor multiplies such numbers."""
_running: list[subprocess.Popen[bytes]] = []


def start(precision: str = "auto") -> None:
    """Begins, where the kernels are not compiled yet, and this program can find what others leave.

    Args:
        precision: as in `TrainConfig`.
    """
    if _running or not _is_python(sys.executable) or not is_kept(choose) or (
            attention.are_compiled() and is_compiled(choose)):
        return
    atexit.register(_terminate)
    with suppress(OSError):
        _running.extend(subprocess.Popen([sys.executable, "-m", __name__, *shares], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                         creationflags=NO_WINDOW) for shares in helpers(precision))


def helpers(precision: str) -> list[list[str]]:
    """The shares of each process, or of one process, where memory or cores are too few for several. A kernel has one
    process, since the index of what was compiled of it has one writer at a time."""
    bits = 32 if precision == "float32" else ACTIVATION_BITS
    both = dict.fromkeys((bits, 32))  # a validation loss is computed in 32 bits
    shares = [[f"backward-{bits}"], [f"forward-{each}" for each in both], ["choice"]]
    if available_cores() == 1 or available_memory_bytes() < 2 * len(shares) * HELPER_BYTES:
        return [[share for process in shares for share in process]]
    return shares


def _is_python(program: str | None) -> bool:
    """True for the name of an interpreter. In a frozen or embedded Python `sys.executable` is another program, or
    none."""
    return os.path.basename(program or "").lower().startswith("python")


def finish() -> None:
    """Waits for what was begun, if anything was."""
    while _running:
        _running.pop().wait()


def _terminate() -> None:
    for process in _running:
        process.terminate()
    finish()


def backward(numbers: Any) -> Signatures:
    """Signatures of the kernels of the backward pass and the update, where activations are stored as `numbers`."""
    f1, f2, f3, f4 = (types.Array(float32, n, "C") for n in (1, 2, 3, 4))
    a2, a3, a5 = (types.Array(numbers, n, "C") for n in (2, 3, 5))
    return [(attention.attend_backward, (a5, f2, f2, f2, f2, float32, float32, float64, int64, int64, a5, a5, f2, f2,
                                         f4, f4, f3, f2)),
            (kernels.norm_backward, (a2, f2, f1, f1, f2, f1, a2)),
            (ACTIVATIONS[ACTIVATION][1], (a3, a2, a3)),
            (kernels.embed_backward, (types.Array(int64, 1, "C"), f2, f2)),
            *([(packed_matmul.add_gradient, (f2, f2, f2, f3, f2)),
               (packed_matmul.odd_polynomial, (f3, float32, float32, float32, f3, f3, f3, f3, f3, f2))]
              if numbers == float32 else [])]


def forward(numbers: Any) -> Signatures:
    """Signatures of the kernels of the forward pass and the loss."""
    f1, f2, f3, f4 = (types.Array(float32, n, "C") for n in (1, 2, 3, 4))
    a2, a3, a5 = (types.Array(numbers, n, "C") for n in (2, 3, 5))
    ids = types.Array(int64, 1, "C")
    return [(attention.attend, (a5, f2, f2, f2, f2, float32, float32, float64, int64, int64, a5, f4, f4, f3, f2)),
            (kernels.norm, (f2, f1, float32, a2, f1)),
            (kernels.add_norm, (f2, a2, f1, float32, f2, a2, f1)),
            (ACTIVATIONS[ACTIVATION][0], (a3, a2)),
            (kernels.cross_entropy, (a2, ids, int64, float32, f1)),
            (kernels.embed, (ids, f2, f2)),
            *([(packed_matmul.pack, (f2, int64, f3, f3)), (packed_matmul.multiply, (f2, f3, f2, f2))]
              if numbers == float32 else [])]


def _compile(signatures: Signatures) -> None:
    for compiled, signature in signatures:
        compiled.compile(signature)


def _compile_sampling() -> None:
    Sampler(SampleConfig(), [0], np.zeros(2, np.float32), 0).next(np.zeros(2, np.float32))


def _compile_engine() -> None:
    """Compiles what a run does not need, but the first `tinylm generate` after it."""
    from tinylm.engine.engine import Engine
    from tinylm.engine.kv_cache import SequenceCache
    from tinylm.inspection.structure import parameter_table

    config = ModelConfig(vocab_size=4, context_length=8, d_model=8, n_heads=1, n_layers=1)
    weights = {each.name: np.zeros(each.shape, np.float32) for each in parameter_table(config)}
    Engine(config, weights, cores=1).read([SequenceCache(config)], [0], 1)


BITS = {16: uint16, 32: float32}
SHARES: dict[str, Callable[[], None]] = {
    **{f"{name}-{bits}": partial(_compile, kernels(BITS[bits]))
       for name, kernels in (("backward", backward), ("forward", forward)) for bits in sorted({ACTIVATION_BITS, 32})},
    "choice": _compile_sampling, "engine": _compile_engine}
"""The kernels of a pass for activations of so many bits, as this processor trains with, of the choice of tokens, and of
the engine."""

if __name__ == "__main__":
    for share in sys.argv[1:] or SHARES:
        SHARES[share]()
