"""The targets of make, for people with make and without: `python make.py demo`. Python 3.11 or newer is enough.

Every program of a target runs in .venv, which the first target that needs it makes. The Makefile hands its targets on
to this script.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

VENV = Path(".venv")
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
DEMO_RUN = "runs/python-reference"
LINT = (("ruff", "check", "."), ("mypy",), ("lint-imports", "--no-logo"))
PYTEST = ("pytest", "-n", "2", "--dist", "loadgroup")


class Target(NamedTuple):
    """Programs of .venv, each with its arguments, and the layer of .venv that has them."""

    about: str
    layer: str
    programs: tuple[tuple[str, ...], ...]


TARGETS = {
    "demo": Target("install tinylm, tell the teaching notebook, train a model in a minute and a half", "installed", (
        ("python", "-m", "tinylm.runs.precompile"),  # while people wait anyway
        ("tinylm", "demo"),
        ("tinylm", "train", "python-reference", "--from", "none", "--minutes", "1.5", "--out", DEMO_RUN, "--force"),
        ("tinylm", "predict", DEMO_RUN, "This object is c"),
        ("tinylm", "generate", DEMO_RUN, "If the", "--max-tokens", "300", "--temperature", "0.5", "--seed", "1"))),
    "test": Target("all that a change must pass", "tested-with", (*LINT, (*PYTEST, "-m", "not slow"))),
    "test-full": Target("the same with the slow tests", "tested-with", (*LINT, PYTEST)),
    "test-arm": Target("tinylm on an emulated ARM processor, made in a cache folder of Debian's packages and wheels",
                       "tested-with", (("python", "tests/platforms/arm.py"),)),
    "lint": Target("style, types, direction of imports", "tested-with", LINT),
    "docs": Target("the documentation as a site that opens offline, site/index.html; a broken link or reference fails",
                   "tested-with", (("mkdocs", "build", "--strict", "--quiet"),)),
    "bench": Target("the short benchmarks; `python -m benchmarks` in .venv lists them all", "installed", (
        ("python", "-m", "benchmarks", "throughput"), ("python", "-m", "benchmarks", "notebook"))),
    "clean": Target("remove .venv and what was built", "", ()),
}


def main(arguments: list[str]) -> int:
    """Makes one target. Returns the exit code: 0, that of the first program that failed, or 2 for a mistake."""
    if len(arguments) != 1 or arguments[0] not in TARGETS:
        print("usage: python make.py TARGET\n\n" + "\n".join(f"  {name:<10} {target.about}"
                                                             for name, target in TARGETS.items()))
        return 2
    if sys.version_info < (3, 11):  # noqa: UP036 - it may well be run by an older one
        print("tinylm needs Python 3.11 or newer, and this is " + sys.version.split()[0], file=sys.stderr)
        return 2
    os.chdir(Path(__file__).resolve().parent)
    signal.signal(signal.SIGINT, lambda _number, _frame: None)  # the program that runs decides what Ctrl-C ends
    try:
        make(arguments[0])
    except subprocess.CalledProcessError as error:
        return error.returncode if error.returncode > 0 else 128 - error.returncode
    return 0


def make(name: str) -> None:
    """Makes a target. Raises: CalledProcessError: a program failed; those after it do not run."""
    target = TARGETS[name]
    if name == "clean":
        for folder in (VENV, Path("build"), Path("site"), *Path("src").glob("*.egg-info")):
            shutil.rmtree(folder, ignore_errors=True)
        return
    install(target.layer)
    for program, *arguments in target.programs:
        run(program, *arguments)


# ---- .venv


def layers() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Layers of .venv from the ground up: the file that a layer leaves in .venv, the file that it is older or newer
    than, and what pip installs. torch goes first, so that it can be fetched from an index of its own, which
    PIP_EXTRA_INDEX_URL names."""
    torch = next(line for line in Path("constraints.txt").read_text(encoding="utf-8").splitlines()
                 if line.startswith("torch=="))
    constrained = ("-c", "constraints.txt", "-e")
    return (("torch", "constraints.txt", (torch,)),
            ("installed", "pyproject.toml", (*constrained, ".[serve,report,formats]")),
            ("tested-with", "pyproject.toml", (*constrained, ".[test]")))


def install(layer: str) -> None:
    """Installs the layers of .venv up to this one, as far as they are missing or older than what they come from."""
    if not VENV.exists():
        call([sys.executable, "-m", "venv", str(VENV)])
    newest = 0.0
    for name, source, packages in layers():
        stamp = VENV / name
        newest = max(newest, os.path.getmtime(source))
        if not stamp.exists() or stamp.stat().st_mtime < newest:
            run("python", "-m", "pip", "install", "--quiet", *packages)
            stamp.touch()
        newest = max(newest, stamp.stat().st_mtime)
        if name == layer:
            break


# ---- programs


def run(program: str, *arguments: str) -> None:
    """Runs a program of .venv."""
    call([shutil.which(program, path=str(BIN)) or str(BIN / program), *arguments])


def call(command: list[str]) -> None:
    """Prints a command and runs it. Raises: CalledProcessError: it failed."""
    print(subprocess.list2cmdline(command), flush=True)
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    code = subprocess.Popen(command, env=environment).wait()
    if code:
        raise subprocess.CalledProcessError(code, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
