"""A disk that is full or fails: a clear message, older checkpoints intact, and the same model once there is room."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinylm.training.checkpoint import Checkpoints

from .conftest import Undisturbed, assert_sound, digests, needs_fork, needs_mount, only_message
from .prefork import Prefork, same, state
from .strace import CHANGES, count_calls, inject, needs_strace, run_under_strace

pytestmark = needs_fork


@contextmanager
def disk(place: Path, size: int) -> Iterator[Path]:
    """A disk of some bytes."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
        place.rmdir()


def enlarge(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=32m", place], check=True)


@needs_mount
@pytest.mark.parametrize("sizes", [16, pytest.param(64, marks=pytest.mark.slow)])
def test_a_full_disk_is_said_and_the_run_goes_on_once_there_is_room(prefork: Prefork, undisturbed: Undisturbed,
                                                                     tmp_path: Path, sizes: int) -> None:
    """R6: from too small for anything to large enough."""
    outcomes = []
    for number in range(sizes):
        with disk(tmp_path / "disk", 4096 * (1 + 160 * number // (sizes - 1))) as place:
            out = place / "run"
            code, said = prefork.run("command", *undisturbed.fresh(out))
            outcomes.append((code, out.exists()))
            if code != 0:
                assert code == 2, said
                assert "No space left on device" in only_message(said), said
                assert "Make room" in said or not out.exists()
            enlarge(place)
            if out.exists():
                Checkpoints(out / "checkpoints").load()
            code, said = prefork.run("command", *undisturbed.again(out))
            assert code == 0, said
            assert digests(out) == undisturbed.digests
            assert [path.name for path in place.iterdir()] == ["run"]
    assert {(2, False), (2, True), (0, True)} == set(outcomes), outcomes


ERRORS = {"EIO": [call for call in CHANGES if call not in ("link", "linkat")],
          "ENOSPC": ["open", "openat", "write", "ftruncate", "mkdir", "mkdirat", "rename", "renameat", "renameat2",
                     "fsync"]}


@needs_strace
@pytest.mark.parametrize(("error", "calls"), [
    ("ENOSPC", ["write", "ftruncate", "mkdir", "mkdirat", "rename", "renameat", "renameat2"]),
    ("EIO", ["write", "fsync", "rename", "renameat", "renameat2"]),
    *(pytest.param(error, CHANGES, marks=pytest.mark.slow) for error in ("EIO", "ENOSPC"))])
def test_a_save_that_meets_an_error_says_so_and_harms_nothing(prefork: Prefork, memory: Path, error: str,
                                                              calls: list[str]) -> None:
    """R6: at each such call of a save."""
    for step in (1, 2):
        Checkpoints(memory / "saved").save(state(step))
    folder = shutil.copytree(memory / "saved", memory / "whole")
    counts = count_calls(prefork.start("save", folder, 3, stopped=True), memory / "log", calls)
    told = 0
    for call, often in counts.items():
        for number in range(1, often + 1):
            folder = shutil.copytree(memory / "saved", memory / "faulty")
            child = prefork.start("save", folder, 3, stopped=True)
            code = run_under_strace(child, *inject(call, number, f"error={error}"))
            where = (call, number, child.said)
            assert code == 0 or (code == 2 and "checkpoint" in child.said), where
            told += code == 2
            loaded, warnings = Checkpoints(folder).load()
            assert warnings == [], where
            assert loaded.numbers["step"] in ((3,) if code == 0 else (2, 3)), where
            assert same(loaded, state(loaded.numbers["step"])), where
            assert (folder / "000002-step-2").is_dir(), where
            Checkpoints(folder).save(state(4))
            assert same(Checkpoints(folder).load()[0], state(4)), where
            assert_sound(folder)
            shutil.rmtree(folder)
    assert told > 5
    print(f"{error}: {told} of {sum(counts.values())} told")


@needs_strace
@pytest.mark.parametrize("faults", [8, pytest.param(80, marks=pytest.mark.slow)])
def test_a_run_that_meets_an_error_can_be_gone_on_with(prefork: Prefork, undisturbed: Undisturbed, tmp_path: Path,
                                                       faults: int) -> None:
    """R6: in any file of a run, the records and the model among them."""
    calls = [call for call in CHANGES if "open" not in call]  # those open modules, too
    child = prefork.start("command", *undisturbed.fresh(tmp_path / "whole"), stopped=True)
    counts = count_calls(child, tmp_path / "log", calls)
    every = [(call, number) for call, often in counts.items() for number in range(1, often + 1)]
    outcomes = []
    for number, (call, when) in enumerate(random.Random(faults).sample(every, faults)):
        error, out = random.Random(number).choice(["EIO", "ENOSPC"]), tmp_path / f"run{number}"
        child = prefork.start("command", *undisturbed.fresh(out), stopped=True)
        code = run_under_strace(child, *inject(call, when, f"error={error}"))
        where = (call, when, error, child.said)
        outcomes.append((call, when, error, code))
        assert code in (0, 2), where
        if code == 2:
            only_message(child.said)
            code, said = prefork.run("command", *undisturbed.again(out))
            assert code == 0, (where, said)
        assert digests(out) == undisturbed.digests, where
        shutil.rmtree(out)
    print(outcomes)
