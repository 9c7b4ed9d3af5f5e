"""What one program has compiled the next one loads, and no more than that."""

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.codegen import JITCPUCodegen

import tinylm
from tinylm.jit.compile import kernel, noalias_part, part

PATH = os.pathsep.join((".", str(Path(tinylm.__file__).parents[1])))

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
import os
import sys
from pathlib import Path

from tinylm.jit import cache

cache.INSTALLED = Path(os.environ.get("INSTALLED", cache.INSTALLED))

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

    def run(*kinds, **environment):
        done = subprocess.run([sys.executable, "-c", CALL, *kinds], cwd=tmp_path, capture_output=True, text=True,
                              check=True, timeout=100, env={**os.environ, "PYTHONPATH": PATH,
                                                            "NUMBA_CACHE_DIR": str(tmp_path / "compiled"),
                                                            "INSTALLED": str(tmp_path / "installed"), **environment})
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


def test_what_came_with_the_package_is_loaded_wherever_the_cache_is(call, tmp_path):
    call("float64")
    (tmp_path / "installed").mkdir()
    for file in (tmp_path / "compiled").glob("*/*.nb[ic]"):
        file.rename(tmp_path / "installed" / file.name)
    own = {"NUMBA_CACHE_DIR": str(tmp_path / "own")}
    assert call("float64", **own) == ["2.5", "1", "0", "False"]
    assert not list((tmp_path / "own").rglob("*.nb[ic]")), "it is not kept a second time"
    assert call("float64", "float32", **own) == ["2.5", "2.5", "1", "1", "True"]
    assert call("float64", **own, NUMBA_CPU_NAME="generic") == ["2.5", "0", "1", "True"]
    for file in (tmp_path / "installed").glob("*.nb[ic]"):
        file.write_bytes(file.read_bytes()[:20])
    assert call("float64", NUMBA_CACHE_DIR=str(tmp_path / "another")) == ["2.5", "0", "1", "True"]


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
    made = [name for name in made if name != "nrt"]  # numba's own, once in a program
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


ASK = """
import sys

import numpy as np
from kernels import half_of_all
from tinylm.jit.cache import is_compiled

print(is_compiled(half_of_all))
if sys.argv[1:]:
    half_of_all(np.ones(5))
"""


def test_what_another_processor_or_another_numba_left_is_not_compiled(tmp_path):
    (tmp_path / "kernels.py").write_text(KERNEL)

    def ask(*arguments, **environment):
        done = subprocess.run([sys.executable, "-c", ASK, *arguments], cwd=tmp_path, capture_output=True, text=True,
                              check=True, timeout=100, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled"),
                                                            "PYTHONPATH": PATH, **environment})
        return done.stdout.strip()

    assert [ask("compile"), ask(), ask(NUMBA_CPU_NAME="generic")] == ["False", "True", "False"]
    index, = (tmp_path / "compiled").rglob("*.nbi")
    content = index.read_bytes()
    index.write_bytes(content.replace(numba.__version__.encode(), b"9" * len(numba.__version__)))
    assert ask() == "False"
    index.write_bytes(content[:-20])
    assert ask() == "False"


INTERLEAVED = """
import numpy as np
from numba import njit
from tinylm.jit.compile import kernel

def total(x):
    y = np.float32(0)
    for i in range(x.size):
        y += x[i]
    return y

def additions(compiled):
    compiled(np.ones(5, np.float32))
    assembly, = compiled.inspect_asm().values()
    return sum("add" in line and ("ps" in line or "4s" in line) for line in assembly.splitlines())

before = additions(njit(fastmath=True)(total))
ours = additions(kernel(total))
print(before, ours, additions(njit(fastmath=True)(total)))
"""


def test_the_options_of_the_compiler_are_kernels_alone(tmp_path):
    """Other code of the same program is compiled as LLVM likes it, before and after."""
    (tmp_path / "totals.py").write_text(INTERLEAVED)
    done = subprocess.run([sys.executable, "totals.py"], cwd=tmp_path, capture_output=True, text=True, check=True,
                          timeout=100, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")})
    before, ours, after = map(int, done.stdout.split())
    assert ours < before == after


def test_a_program_without_source_compiles_and_runs(tmp_path):
    """Where there is bytecode alone, and where the package is in an archive."""
    package = Path(tinylm.__file__).parent
    (tmp_path / "code" / "tinylm").mkdir(parents=True)
    for name in ("jit", "config", "__init__.py", "errors.py"):
        source = package / name
        target = tmp_path / "code" / "tinylm" / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    (tmp_path / "code" / "kernels.py").write_text(KERNEL)
    shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path / "code")
    compileall.compile_dir(tmp_path / "code", legacy=True, quiet=2)
    for source in (tmp_path / "code").rglob("*.py"):
        source.unlink()
    for path in (tmp_path / "code", tmp_path / "archive.zip"):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled"), "PYTHONPATH": str(path)}
        done = subprocess.run([sys.executable, "-c", CALL, "float64"], cwd=tmp_path, capture_output=True, text=True,
                              check=False, timeout=100, env=environment)
        assert done.stdout.split()[:3] == ["2.5", "0", "1"], done.stderr
