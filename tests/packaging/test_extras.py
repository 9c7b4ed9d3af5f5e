"""Without extras the package is light: an optional package is imported by the part that needs it alone, which names the
way to it. The versions that are tested lie within the ranges that are claimed."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tinylm
from tinylm.system import extras

ROOT = Path(__file__).parents[2]
PACKAGE = Path(tinylm.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {"serve": ("http/", "serving/", "studio/"), "report": ("reports/html_page.py", "reports/plots.py"),
          "formats": ("text/formats/pdf.py", "text/formats/rtf.py"),
          "export": ("interchange/onnx/", "interchange/hugging_face/check.py")}
"""Extras for people, with the parts of the package that import what they bring."""
LOADED = {"xllamacpp"}
"""A package whose library is called by ctypes (interchange/gguf/llama_cpp.py)."""
COMES_WITH = {"llvmlite": "numba", "pydantic-core": "pydantic"}
"""A package that another one brings in the only version that fits."""

IMPORTED_AS = {"markdown-it": "markdown-it-py"}
"""Packages by the names of their modules, where these differ."""


def required(extra: str = "") -> dict[str, Requirement]:
    """The packages that tinylm or an extra of it names, by name; an extra's extras of tinylm are looked into."""
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    found: dict[str, Requirement] = {}
    for each in map(Requirement, lines):
        if each.name == "tinylm":
            found |= {name: one for inner in each.extras for name, one in required(inner).items()}
        else:
            found[canonicalize_name(each.name)] = each
    return found


def imported() -> Iterator[tuple[str, str]]:
    """Packages that are neither Python's nor ours, each with the file that imports it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = ([each.name for each in node.names] if isinstance(node, ast.Import) else
                     [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
            for name in {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"tinylm", ""}:
                package = canonicalize_name(name)
                yield IMPORTED_AS.get(package, package), path.relative_to(PACKAGE).as_posix()


def test_what_an_extra_brings_is_imported_by_its_part_alone() -> None:
    light = required()
    for package, file in imported():
        if COMES_WITH.get(package, package) not in light:
            wanted = [extra for extra, parts in EXTRAS.items() if package in required(extra) and file.startswith(parts)]
            assert wanted, f"{file} imports {package}"


def test_every_package_that_is_claimed_is_imported() -> None:
    used = {package for package, _ in imported()}
    assert set(required()) <= used
    for extra in EXTRAS:
        assert set(required(extra)) - LOADED <= used


def test_the_versions_that_are_tested_lie_in_the_ranges_that_are_claimed() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {canonicalize_name(name): version for name, version in
              (line.split("==") for line in lines if not line.startswith("#"))}
    claimed = required() | required("test") | required("bench")
    assert set(claimed) <= set(tested), "constraints.txt lacks a package"
    for name, requirement in claimed.items():
        assert requirement.specifier.contains(tested[name]), f"{requirement} is tested with {tested[name]}"


# ---- what a person is told


def without(package: str, code: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in which a package cannot be imported."""
    return subprocess.run([sys.executable, "-c", f"import sys; sys.modules[{package!r}] = None\n{code}"],
                          capture_output=True, text=True, encoding="utf-8", timeout=100, check=False,
                          env={**os.environ, "PYTHONUTF8": "1"})


@pytest.mark.parametrize(("command", "extra", "package"), [
    ("report", "report", "plotly"), ("serve", "serve", "starlette"), ("serve", "serve", "uvicorn"),
    ("studio", "serve", "starlette")])
def test_a_command_without_its_extra_says_what_to_type(hello_run: Path, command: str, extra: str, package: str) -> None:
    words = [command, str(hello_run)]
    said = without(package, f"from tinylm.cli import main\nsys.argv[1:] = {words}\nmain()")
    assert said.returncode == 2
    assert re.fullmatch(r"tinylm: .* needs packages that are not installed\. .* brings them\.\n", said.stderr)
    assert extras.install_command(extra) in said.stderr


@pytest.mark.parametrize(("package", "code"), [
    ("plotly", "from tinylm.reports.html_page import make_page; make_page({!r}, version='1')"),
    ("plotly", "from tinylm.reports.html_page import write_page; write_page({!r}, version='1')"),
    ("uvicorn", "import tinylm.serving.server"), ("starlette", "import tinylm.http.server")])
def test_python_says_it_too(hello_run: Path, package: str, code: str) -> None:
    said = without(package, code.format(str(hello_run)))
    assert said.stderr.splitlines()[-1].startswith("tinylm.errors.TinyLMError: ")
    assert "brings them." in said.stderr


def test_the_help_of_serve_needs_no_extra() -> None:
    said = without("starlette", "from tinylm.cli import main\nsys.argv[1:] = ['serve', '--help']\nmain()")
    assert (said.returncode, said.stderr) == (0, "")


# ---- the way to an extra works as it is typed


def test_the_command_for_an_extra_works_as_typed() -> None:
    words = shlex.split(extras.install_command("serve"))
    assert words[-1] == "tinylm[serve]"
    done = subprocess.run([*words, "--no-index"], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, "the extra is here already, so that nothing is fetched: " + done.stderr


def test_the_pip_of_this_python_needs_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    assert extras.install_command("serve") == 'pip install "tinylm[serve]"'
    monkeypatch.setenv("PATH", os.defpath)
    assert extras.install_command("serve").startswith(sys.executable)
    monkeypatch.setattr(extras, "find_spec", lambda _name: None)
    assert extras.install_command("serve").startswith("uv pip install --python ")
