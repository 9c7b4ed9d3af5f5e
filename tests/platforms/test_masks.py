"""The compiled code of other processors: engine and training path compute what the reference computes, compiled for
fewer instructions than the processor at hand has, and with a torch that uses no more than these either.

A mask is kept by a child process, since numba, torch and its libraries read theirs once.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tinylm.jit.llvm import processor_features

ROOT = Path(__file__).parents[2]
PARITY = ("tests/engine/test_parity.py", "tests/training/cpu/test_gradients.py", "tests/training/cpu/test_matrices.py")
MASKS = {
    # Cascade Lake: vectors of 16, no products of bfloat16
    "AVX-512": {"NUMBA_CPU_NAME": "cascadelake", "NUMBA_CPU_FEATURES": "+avx512f,+avx512vl,+avx512dq,+avx512bw,+fma",
                "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    # Haswell, Ryzen before Zen 4, most laptops: vectors of 8
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+avx,+fma", "ONEDNN_MAX_CPU_ISA": "AVX2",
             "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    # Celeron, Pentium and Atom: vectors of 4, no multiplication and addition in one
    "SSE": {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "+sse4.2", "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ATEN_CPU_CAPABILITY": "default"},
}
"""Environments, by the vector instructions that they leave. NUMBA_CPU_NAME alone masks nothing: numba adds what the
processor has."""
VECTORS = """
import numpy as np
from tinylm.jit.llvm import HAS_AVX512, LOOP_LANES
from tinylm.training.cpu.kernels import norm

x, row = np.ones((2, 32), np.float32), np.ones(32, np.float32)
norm(x, row, np.float32(0), x.copy(), row.copy())
assembly, = norm.inspect_asm().values()
print(HAS_AVX512, LOOP_LANES, *("%" + name in assembly for name in ("zmm", "ymm")), "vfmadd" in assembly)
"""
FOUND = {"AVX-512": "True 8 False True True", "AVX2": "False 8 False True True", "SSE": "False 4 False False False"}
"""Whether there is AVX-512; numbers of a register in a loop; whether loops use registers of 16 and of 8 numbers, and
multiplication with addition."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"),
                                                   reason="the masks are of x86 processors")]


def run(mask: str, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    wanted = {each[1:] for each in MASKS[mask]["NUMBA_CPU_FEATURES"].split(",")}
    if not wanted <= processor_features():
        pytest.skip(f"this processor lacks some of {mask}")
    environment = {**os.environ, **MASKS[mask], "NUMBA_CACHE_DIR": str(folder / "compiled"),
                   "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True,
                          check=False)


@pytest.mark.parametrize("mask", MASKS)
def test_a_mask_leaves_the_vectors_that_it_says(mask: str, tmp_path: Path) -> None:
    done = run(mask, tmp_path, "-c", VECTORS)
    assert done.stdout.strip() == FOUND[mask], done.stdout + done.stderr


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mask", MASKS)
def test_engine_and_training_are_the_references(mask: str, tmp_path: Path) -> None:
    done = run(mask, tmp_path, "-m", "pytest", "-n", "0", "--timeout", "1500", "-m", "not slow", "-p",
               "no:cacheprovider", *PARITY)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
