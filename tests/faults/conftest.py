"""What the tests of faults share: a small text, a run that was left alone, and where to make disks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .prefork import Prefork

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where flushing costs nothing."""
OPTIONS = ["--tokenizer", "char", "--steps", "40", *(part for setting in (
    "model.d_model=16", "model.n_layers=1", "model.n_heads=2", "model.context_length=16", "model.dropout=0.1",
    "train.batch_size=4", "train.evaluate_every=15") for part in ("--set", setting))]


def _may_mount() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        return False
    with tempfile.TemporaryDirectory() as place:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", place], check=True)
    return True


needs_mount = pytest.mark.skipif(not _may_mount(), reason="needs Linux, root, mkfs.ext4 and the right to mount")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork and signals")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder for much writing."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as place:
        yield Path(place)


@pytest.fixture(scope="session")
def prefork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefork]:
    if not hasattr(os, "fork"):
        pytest.skip("needs a system with fork and signals")
    with Prefork(tmp_path_factory.mktemp("said")) as prefork:
        yield prefork


@pytest.fixture(scope="session")
def poem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 3 KB of text."""
    path = tmp_path_factory.mktemp("texts") / "poem.txt"
    path.write_text("".join(f"{n} green bottles hanging on the wall, and {n * n} more in the yard.\n"
                            for n in range(50)), encoding="utf-8")
    return path


class Undisturbed:
    """A run that was left alone, for those that were not to be held against."""

    def __init__(self, prefork: Prefork, poem: Path, folder: Path, options: Sequence[str] = OPTIONS) -> None:
        self.poem, self.options = poem, options
        began = time.perf_counter()
        code, said = prefork.run("command", *self.fresh(folder))
        assert code == 0, said
        self.seconds = time.perf_counter() - began
        self.digests = digests(folder)

    def fresh(self, out: Path, *more: str) -> list[str]:
        """The arguments of a run from the beginning."""
        return ["train", str(self.poem), "--out", str(out), *self.options, *more]

    def again(self, out: Path) -> list[str]:
        """The arguments of a run that goes on, or begins where nothing is."""
        return ["train", "--resume", "--out", str(out)] if out.exists() else self.fresh(out)


@pytest.fixture(scope="session")
def undisturbed(prefork: Prefork, poem: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(prefork, poem, tmp_path_factory.mktemp("undisturbed") / "run")


@pytest.fixture(scope="session")
def base_options(prefork: Prefork, poem: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options of a run that goes on from another on the same letters."""
    folder = tmp_path_factory.mktemp("fine-tuning")
    verse = folder / "verse.txt"
    verse.write_text("one more bottle in the yard and no other on the wall.\n" * 30 + poem.read_text(encoding="utf-8"),
                     encoding="utf-8")
    code, said = prefork.run("command", "train", str(verse), "--out", str(folder / "base"), *OPTIONS)
    assert code == 0, said
    return ["--from", str(folder / "base"), "--steps", "40", "--set", "model.dropout=0.1",
            "--set", "train.batch_size=4", "--set", "train.evaluate_every=15"]


@pytest.fixture(scope="session")
def undisturbed_from_base(prefork: Prefork, poem: Path, base_options: list[str],
                          tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run that goes on from a base, and replays its text."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return Undisturbed(prefork, poem, folder / "run", [*base_options, "--replay", "0.3"])


@pytest.fixture(scope="session")
def undisturbed_lora(prefork: Prefork, poem: Path, base_options: list[str],
                     tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run that trains low-rank additions to a base."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return Undisturbed(prefork, poem, folder / "run", [*base_options, "--lora", "2"])


def digests(run: Path) -> dict[str, str]:
    """Of the files of a run that must not depend on its history: model, records, and the last checkpoint's tensors."""
    newest = max((run / "checkpoints").glob("[0-9]*"))
    files = [run / name for name in ("model.safetensors", "metrics.jsonl", "samples.jsonl")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (*files, *newest.glob("*.safetensors"))}


def is_intact(checkpoint: Path) -> bool:
    """Holds its files against its manifest."""
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    return all((len(data := (checkpoint / name).read_bytes()), hashlib.sha256(data).hexdigest())
               == (about["bytes"], about["sha256"]) for name, about in manifest.items())


def assert_sound(folder: Path) -> None:
    """Nothing half written or rotten, and nothing that nobody will ever remove."""
    left = [path for path in folder.iterdir() if path.name != ".lock"]
    assert all(is_intact(path) for path in left), left
    assert 1 <= len(left) <= 2, left


def only_message(said: str) -> str:
    """The one line of an error in what a command printed."""
    assert "Traceback" not in said, said
    lines = [line for line in said.splitlines() if line.startswith("tinylm: ")]
    assert len(lines) == 1, said
    return lines[0]
