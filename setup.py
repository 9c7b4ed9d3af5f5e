"""The two steps of a build that pyproject.toml cannot name. A wheel gets the kernels as machine code, made for the
processor that builds it. People wait for pip anyway, and then not for the compiler when they train or write for the
first time. Elsewhere, and where nothing can be compiled, kernels are compiled when they are needed. And a wheel gets
the pages of the lesson, which lie among the documents.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithMachineCode(build_py):
    """Copies the package, and compiles the copy's kernels. An editable install has no copy."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            copy_lesson(Path(self.build_lib))
            compile_kernels(Path(self.build_lib))


def copy_lesson(root: Path) -> None:
    """Copies docs/lesson into tinylm/learn/lesson (learn/html/source.py). Args: as `compile_kernels`."""
    pages = root / "tinylm" / "learn" / "lesson"
    shutil.rmtree(pages, ignore_errors=True)  # of an earlier build
    shutil.copytree(Path(__file__).parent / "docs" / "lesson", pages)


def compile_kernels(root: Path) -> None:
    """Compiles into tinylm/jit/machine_code (jit/cache.py), where files of all modules lie side by side.

    Args:
        root: the folder with the package.
    """
    machine_code = root / "tinylm" / "jit" / "machine_code"
    shutil.rmtree(machine_code, ignore_errors=True)  # of an earlier build
    with tempfile.TemporaryDirectory() as compiled:
        path = os.pathsep.join([str(root.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run([sys.executable, "-m", "tinylm.runs.precompile"], check=False,
                              env={**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": compiled})
        if done.returncode:
            print("note: the kernels could not be compiled; the first run will compile them", file=sys.stderr)
            return
        machine_code.mkdir()
        for file in Path(compiled).glob("*/*.nb[ic]"):
            shutil.copy(file, machine_code)


setup(cmdclass={"build_py": BuildWithMachineCode})
