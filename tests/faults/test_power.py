"""A power cut: what a disk holds at a moment in the middle of a save, without what was still on its way there."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinylm.training.checkpoint import Checkpoints

from .conftest import needs_fork, needs_mount
from .prefork import Child, Prefork, same, state

pytestmark = [needs_fork, needs_mount]

MEGABYTES = 8


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """An image that was not unmounted is repaired from its journal, as after a power cut."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def photograph(image: Path, child: Child) -> bytes:
    """The image at one moment: two readings that agree show what was there between them. The child is held, should it
    be too quick for that; what the system has under way goes on."""
    before, after = image.read_bytes(), image.read_bytes()
    if before != after:
        child.signal(signal.SIGSTOP)
        while before != after:
            before, after = after, image.read_bytes()
        child.signal(signal.SIGCONT)
    return after


@pytest.mark.parametrize("cuts", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_a_save_survives_a_power_cut(prefork: Prefork, memory: Path, tmp_path: Path, cuts: int) -> None:
    """R5. What a save returned from is on the disk."""
    image = memory / "disk.img"
    with open(image, "wb") as file:
        file.truncate(MEGABYTES << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    draw, seen = random.Random(cuts), set()
    with mounted(image, tmp_path / "disk") as place:
        Checkpoints(place / "checkpoints").save(state(1))
        child = prefork.start("save_for_ever", place / "checkpoints", 20_000)
        try:
            for cut in range(cuts):
                time.sleep(draw.uniform(0, 0.05))
                done = [int(line) for line in child.said.split("\n")[:-1]]
                copy = memory / f"{cut}.img"
                copy.write_bytes(photograph(image, child))
                with mounted(copy, tmp_path / "copy") as restored:
                    loaded, warnings = Checkpoints(restored / "checkpoints").load()
                    assert warnings == []
                    assert same(loaded, state(loaded.numbers["step"], loaded.numbers["size"]))
                    assert loaded.numbers["step"] >= max(done, default=1)
                    seen.add((len(done), loaded.numbers["step"]))
                copy.unlink()
        finally:
            child.kill()
    assert len(seen) > cuts / 4, "hardly anything happened between the cuts"
