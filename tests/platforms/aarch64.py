"""An aarch64 machine in a folder: Debian's Python and the wheels that tinylm needs, run by qemu's user mode emulation.

Nothing is installed on the machine itself and no rights are needed. apt-get downloads into the folder, with lists of
packages of its own; pip chooses the wheels of the versions that this Python runs with. A script beside a `pyvenv.cfg`
starts qemu with the emulated Python, and is what that Python knows as `sys.executable`, so the processes that a program
starts are emulated, too.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DEBIAN_PACKAGES = ("python3", "libgomp1", "libstdc++6")
TORCH = "2.9.1"
"""The newest torch on PyPI for this platform that brings no CUDA libraries and runs on every processor of it: 2.10 uses
instructions that a Cortex-A72 lacks (Raspberry Pi 4; pytorch issue 176993), and later ones need 3 GB of CUDA."""
ROOTS = ("tinylm", "pytest", "pytest-timeout", "hypothesis")
"""What is installed with all that it requires, but for tinylm itself, which is run from its source."""
NOT_FOR_A_CPU = ("nvidia-", "cuda-", "triton")
PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)))
FETCH_SECONDS = 900


class CannotBeMade(Exception):
    """The machine cannot be made here: what is missing, and what the tool that failed said."""


def emulated_python(folder: Path) -> Path:
    """The emulated Python, made in `folder` unless it is there already; another list of wheels has it made anew.

    Raises:
        CannotBeMade: a tool is missing, or a package cannot be fetched.
    """
    python, wanted = folder / "python" / "bin" / "python3", "\n".join(requirements()) + "\n"
    listed = folder / "requirements.txt"
    if python.exists() and listed.exists() and listed.read_text() == wanted:
        return python
    for tool in ("apt-get", "dpkg", "dpkg-deb"):
        if not shutil.which(tool):
            raise CannotBeMade(f"{tool} is missing: the emulated machine is made of Debian's packages")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    root = unpacked(folder, "arm64", *DEBIAN_PACKAGES)
    interpreter = (root / "usr/bin/python3").resolve()
    site = python.parents[1] / "lib" / interpreter.name / "site-packages"
    listed.write_text(wanted)
    fetch_wheels(listed, site, interpreter.name.removeprefix("python"))
    (python.parents[1] / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\n")
    write_starter(python, find_qemu(folder), root, interpreter)
    return python


def write_starter(path: Path, qemu: str, root: Path, interpreter: Path) -> None:
    """Writes the script that is the emulated Python: qemu finds the system's files below `root`."""
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\nQEMU_LD_PREFIX={shlex.quote(str(root))} exec {shlex.quote(qemu)} -0 \"$0\" "
                    f"{shlex.quote(str(interpreter))} \"$@\"\n")
    path.chmod(0o755)


def find_qemu(folder: Path) -> str:
    """The emulator of this machine, or one that is fetched."""
    names = ("qemu-aarch64-static", "qemu-aarch64")
    installed = next(filter(None, map(shutil.which, names)), None)
    if installed:
        return installed
    architecture = run("dpkg", "--print-architecture").strip()
    fetched = unpacked(folder, architecture, "qemu-user-static")
    return str(next(path for name in names if (path := fetched / "usr/bin" / name).exists()))


def unpacked(folder: Path, architecture: str, *packages: str) -> Path:
    """A folder with the files of Debian packages and of all that they depend on."""
    state, root = folder / f"apt-{architecture}", folder / architecture
    for name in ("lists/partial", "archives/partial"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()  # nothing is installed, so everything is fetched
    values = {"APT::Architecture": architecture, "APT::Architectures": architecture, "APT::Sandbox::User": "",
              "Dir::State": state, "Dir::State::status": state / "status", "Dir::Cache": state}
    options = [word for name, value in values.items() for word in ("-o", f"{name}={value}")]
    apt = ["apt-get", "--quiet", "--yes", *options]
    run(*apt, "update")
    run(*apt, "install", "--download-only", "--no-install-recommends", *packages)
    for archive in sorted((state / "archives").glob("*.deb")):
        run("dpkg-deb", "--extract", archive, root)
    shutil.rmtree(state)
    return root


# ---- the wheels


def requirements() -> list[str]:
    """`name==version` of all that tinylm and its tests need, in the versions that run here, torch in `TORCH`."""
    versions = dict[str, str]()
    for name in ROOTS:
        add_with_requirements(Requirement(name), versions)
    versions.pop("tinylm")
    versions["torch"] = TORCH
    return [f"{name}=={version}" for name, version in sorted(versions.items())]


def add_with_requirements(requirement: Requirement, versions: dict[str, str]) -> None:
    """Adds a distribution and those that it requires on aarch64 to `versions`."""
    name = canonicalize_name(requirement.name)
    if name in versions or name.startswith(NOT_FOR_A_CPU):
        return
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise CannotBeMade(f"{name} is missing in {sys.executable}: run `make test-arm`, "
                           "or install tinylm with its extra \"test\"") from None
    versions[name] = found.version.split("+")[0]
    for needed in map(Requirement, found.requires or []):
        environment = {"platform_machine": "aarch64", "extra": ""}
        if needed.marker is None or needed.marker.evaluate(environment):
            add_with_requirements(needed, versions)


def fetch_wheels(listed: Path, site: Path, version: str) -> None:
    """Installs the wheels of a list for the emulated Python of this version."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target", site,
        "--python-version", version, "--implementation", "cp", *platforms, "-r", listed)


def run(*command: str | os.PathLike[str]) -> str:
    """Runs a command and returns its standard output. Raises: CannotBeMade: the command failed, or did not end."""
    name = shlex.join(map(str, command[:3]))
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise CannotBeMade(f"{name} ... did not end within {FETCH_SECONDS} seconds") from None
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise CannotBeMade(f"{name} ... failed:\n{last}")
    return done.stdout
