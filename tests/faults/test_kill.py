"""SIGKILL at any moment: the last checkpoint is whole, and the run that goes on is the run that was never killed."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from tinylm.training.checkpoint import Checkpoints

from .conftest import Undisturbed, assert_sound, digests, needs_fork
from .prefork import Prefork, same, state
from .strace import CHANGES, count_calls, inject, needs_strace, run_under_strace

pytestmark = needs_fork


def assert_holds(folder: Path, steps: set[int], next_step: int) -> None:
    """One of these steps, to the bit, and nobody is told of damage; the next save works and tidies up."""
    checkpoints = Checkpoints(folder)
    loaded, warnings = checkpoints.load()
    assert warnings == []
    assert loaded.numbers["step"] in steps
    assert same(loaded, state(loaded.numbers["step"], loaded.numbers["size"]))
    checkpoints.save(state(next_step))
    assert same(checkpoints.load()[0], state(next_step))
    assert_sound(folder)


@pytest.fixture
def saved(memory: Path) -> Path:
    """Two checkpoints: a third lets the first go."""
    for step in (1, 2):
        Checkpoints(memory / "saved").save(state(step))
    return memory / "saved"


@needs_strace
@pytest.mark.parametrize("calls", [CHANGES, pytest.param(None, marks=pytest.mark.slow)], ids=["changes", "all"])
def test_a_save_survives_a_kill_at_every_system_call(prefork: Prefork, saved: Path, memory: Path,
                                                      calls: list[str] | None) -> None:
    """R5."""
    folder = shutil.copytree(saved, memory / "whole")
    counts = count_calls(prefork.start("save", folder, 3, stopped=True), memory / "log", calls)
    assert counts["fsync"] >= 7  # four files, the manifest, two folders
    counts.pop("exit_group", None)
    survived: Counter[int] = Counter()
    for call, often in counts.items():
        for number in range(1, often + 1):
            folder = shutil.copytree(saved, memory / "killed")
            child = prefork.start("save", folder, 3, stopped=True)
            code = run_under_strace(child, *inject(call, number, "signal=KILL"))
            assert code == -9, (call, number, child.said)
            survived[max(int(path.name[-1]) for path in folder.glob("0*"))] += 1
            assert_holds(folder, {2, 3}, next_step=4)
            shutil.rmtree(folder)
    assert min(survived[2], survived[3]) > 5, survived
    print(f"kills: {survived}")


@pytest.mark.parametrize("kills", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_save_survives_a_kill_at_any_moment(prefork: Prefork, saved: Path, kills: int) -> None:
    """R5. What a save returned from is never lost."""
    draw = random.Random(kills)
    for _ in range(kills):
        child = prefork.start("save_for_ever", saved, 20_000)
        time.sleep(draw.uniform(0, 0.04))
        child.kill()
        done = [int(line) for line in child.said.split()]
        loaded, warnings = Checkpoints(saved).load()
        assert warnings == []
        assert same(loaded, state(loaded.numbers["step"], loaded.numbers["size"]))
        assert not done or loaded.numbers["step"] in (done[-1], done[-1] + 1)
    assert_holds(saved, {loaded.numbers["step"]}, next_step=loaded.numbers["step"] + 1)


@pytest.mark.parametrize(("which", "kills"), [
    ("undisturbed", 10), ("undisturbed_from_base", 5), ("undisturbed_lora", 5),
    pytest.param("undisturbed", 60, marks=pytest.mark.slow),
    pytest.param("undisturbed_from_base", 30, marks=pytest.mark.slow),
    pytest.param("undisturbed_lora", 30, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_again_and_again_ends_as_if_nothing_had_been(
        prefork: Prefork, request: pytest.FixtureRequest, tmp_path: Path, which: str, kills: int) -> None:
    """R1: the weights, the moments and the records, to the byte."""
    undisturbed: Undisturbed = request.getfixturevalue(which)
    draw, run, lives = random.Random(kills), 0, 0
    while kills > 0:
        out, run = tmp_path / f"run{run}", run + 1
        code = -9
        while code != 0:
            lives += out.exists()
            child = prefork.start("command", *undisturbed.again(out))
            if kills > 0:
                time.sleep(draw.uniform(0, undisturbed.seconds))
                child.signal(9)
            code = child.wait()
            assert code in (0, -9), child.said
            kills -= code != 0
        assert digests(out) == undisturbed.digests
    print(f"{run} runs, gone on with {lives} times")
