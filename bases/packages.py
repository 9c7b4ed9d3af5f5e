"""Packages: fetches one by the ordinary client of its registry, and unpacks it. Nothing of a package is run."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Package:
    """A package of a registry, in the version that was read."""

    registry: Literal["Debian", "npm", "PyPI"]
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.registry})"


def fetch(package: Package, folder: Path) -> tuple[Path, str]:
    """Downloads a package and unpacks it in `folder`, unless it is there.

    Returns:
        the folder of its files, and the sha256 of the package in hexadecimal.

    Raises:
        CalledProcessError: the registry does not have it.
    """
    place = folder / f"{package.registry}-{package.name.replace('/', '-')}"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        (place / "file").mkdir(parents=True)
        subprocess.run(_download(package), cwd=place / "file", check=True, stdout=sys.stderr)
        _unpack(_file_of(place), place / "unpacked")
        (place / "done").touch()
    return place / "unpacked", hashlib.sha256(_file_of(place).read_bytes()).hexdigest()


def _file_of(place: Path) -> Path:
    [file] = (place / "file").iterdir()
    return file


def _download(package: Package) -> list[str]:
    name, version = package.name, package.version
    if package.registry == "Debian":
        return ["apt-get", "download", f"{name}={version}"]
    if package.registry == "npm":
        return ["npm", "pack", "--silent", f"{name}@{version}"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    return [*pip, f"{name}=={version}"]


def _unpack(file: Path, folder: Path) -> None:
    folder.mkdir()
    if file.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", file, folder], check=True)
    elif file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    else:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
