"""What one program has compiled the next one loads, and no more than that."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba.core.codegen import JITCPUCodegen

from tinylm.jit.compile import kernel, noalias_part, part

KERNEL = """
from tinylm.jit.compile import kernel, part

@part
def half(x):
    return x * 0.5

@kernel
def half_of_all(array):
    total = half(array[0])
    for i in range(1, array.size):
        total += half(array[i])
    return total
"""
CALL = """
import sys

import numpy as np
from kernels import half_of_all

for kind in sys.argv[1:]:
    print(half_of_all(np.ones(5, kind)), end=" ")
counts = half_of_all.stats
print(sum(counts.cache_hits.values()), sum(counts.cache_misses.values()), "numba.np.linalg" in sys.modules)
"""


@pytest.fixture
def call(tmp_path):
    """Calls the kernel, in a program of its own, with arrays of these types. Returns what came of it, how often it was
    loaded and how often compiled, and whether numba's rules for compiling were loaded."""
    (tmp_path / "kernels.py").write_text(KERNEL)

    def run(*kinds):
        done = subprocess.run([sys.executable, "-c", CALL, *kinds], cwd=tmp_path, capture_output=True, text=True,
                              check=True, timeout=100,
                              env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled"), "PYTHONPATH": "."})
        return done.stdout.split()

    return run


def test_what_is_compiled_is_loaded_without_the_compiler(call):
    assert call("float64") == ["2.5", "0", "1", "True"]
    assert call("float64") == ["2.5", "1", "0", "False"]


def test_a_program_that_has_loaded_can_still_compile(call):
    call("float64")
    assert call("float64", "float32", "int64") == ["2.5", "2.5", "2.5", "1", "2", "True"]
    assert call("float64", "float32", "int64") == ["2.5", "2.5", "2.5", "3", "0", "False"]


def test_what_was_changed_is_compiled_again(call, tmp_path):
    call("float64")
    (tmp_path / "kernels.py").write_text(KERNEL.replace("x * 0.5", "x * 0.25"))
    assert call("float64") == ["1.25", "0", "1", "True"]


LARGE = """
import math

import numpy as np
from tinylm.jit.compile import kernel, part

@part
def large(x):
    y = x[0]
    for i in range(x.size):
        BODY
    return y

@kernel
def twice(x):
    return large(x) + large(x[1:])

twice(np.ones(5))
assembly, = twice.inspect_asm().values()
lines = [line.strip() for line in assembly.splitlines() if "5large" in line]
print(len(lines), sum(line.startswith(".weak") for line in lines))
"""


def test_a_kernel_calls_copies_of_its_parts_of_its_own(tmp_path):
    """Of a part too large to be inlined: the program that compiles would else call the part as it was compiled for
    itself, whose sums are in another order than those of the copy that later programs load."""
    body = "; ".join(f"y += math.sin(y * {i}.5 + x[i])" for i in range(60))
    (tmp_path / "large.py").write_text(LARGE.replace("BODY", body))
    done = subprocess.run([sys.executable, "large.py"], cwd=tmp_path, capture_output=True, text=True, check=True,
                          timeout=100, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")})
    found, open_to_replacement = map(int, done.stdout.split())
    assert found > 0
    assert open_to_replacement == 0


def test_machine_code_is_made_of_a_kernel_and_not_of_its_parts(monkeypatch):
    """numba would make it of each part, with copies of all parts that it calls: of the innermost one most often."""
    made, add = [], JITCPUCodegen._add_module

    def counted(self, module):
        made.append(module.name)
        return add(self, module)

    monkeypatch.setattr(JITCPUCodegen, "_add_module", counted)

    @part
    def inner(x):
        return x[0] * 0.5

    @noalias_part
    def middle(x, out):
        out[0] = inner(x)

    @kernel
    def outer(x, out):
        middle(x, out)
        out[0] += inner(x)

    out = np.zeros(1)
    outer(np.ones(1), out)
    assert out == 1.0
    assert len(made) == 1
    assert "outer" in made[0]


def test_python_can_call_a_part():
    @part
    def half(x):
        return x * 0.5

    @kernel
    def halves(x):
        return half(x) + half(x)

    assert halves(5.0) == 5.0
    assert half(5.0) == half(5.0) == 2.5
    assert half(np.float32(3)) == 1.5
