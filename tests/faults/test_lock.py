"""Two runs in one folder: one gets it, the other is told in a sentence; and no lock outlives its holder."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tinylm.training.checkpoint import Checkpoints

from .conftest import Undisturbed, assert_sound, digests, needs_fork, only_message
from .prefork import Child, Prefork
from .strace import let_go_under_strace, needs_strace

pytestmark = needs_fork

REFUSALS = ("another run is training into this folder", "there is a model already",
            "another process has put a model here")


def steps_of(folder: Path) -> int:
    return max((int(path.name.split("-")[-1]) for path in (folder / "checkpoints").glob("[0-9]*")), default=-1)


def wait_until(true, said=lambda: "") -> None:
    deadline = time.monotonic() + 200
    while not true():
        assert time.monotonic() < deadline, f"it never came to that: {said()}"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def stopped(prefork: Prefork, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long run that has been killed. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    child = prefork.start("command", *undisturbed.fresh(folder, "--steps", "100000"))
    wait_until(lambda: steps_of(folder) >= 5)
    child.kill()
    return folder


def one_wins(prefork: Prefork, out: Path, *children: Child) -> None:
    """All but one are told; that one is training, and goes on with it."""
    left = list(children)
    while len(left) > 1:
        loser, code = prefork.first_to_end(*left)
        assert code == 2, loser.said
        assert any(words in only_message(loser.said) for words in REFUSALS), loser.said
        left.remove(loser)
    before = max(0, steps_of(out))  # a folder gets its name with a checkpoint of step 0 in it
    wait_until(lambda: steps_of(out) > before, left[0].stuck)
    left[0].signal(signal.SIGKILL)
    assert left[0].wait() == -9, left[0].said
    checkpoints = Checkpoints(out / "checkpoints")
    assert checkpoints.load()[1] == []
    assert not [path.name for path in out.parent.iterdir() if path.name.startswith(f".{out.name}.")]


def times(fast: int, full: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("times", [pytest.param(range(fast), id=str(fast)),
                                             pytest.param(range(full), id=str(full), marks=pytest.mark.slow)])


@times(3, 50)
def test_two_new_runs(prefork: Prefork, undisturbed: Undisturbed, memory: Path, times: range) -> None:
    """R13."""
    for number in times:
        out = memory / str(number)
        arguments = undisturbed.fresh(out, "--steps", "100000")
        one_wins(prefork, out, prefork.start("command", *arguments), prefork.start("command", *arguments))
        assert not Path(f"{out}.old").exists()


@times(14, 100)
def test_two_that_go_on(prefork: Prefork, stopped: Path, memory: Path, times: range) -> None:
    """R13. It is also a lock that was left by SIGKILL that they go on with."""
    for number in times:
        out = shutil.copytree(stopped, memory / str(number))
        arguments = ["train", "--resume", "--out", str(out)]
        one_wins(prefork, out, prefork.start("command", *arguments), prefork.start("command", *arguments))


@times(3, 47)
def test_two_that_replace_a_model(prefork: Prefork, undisturbed: Undisturbed, stopped: Path, memory: Path,
                                  times: range) -> None:
    """R13. The model that was there is kept."""
    for number in times:
        out = shutil.copytree(stopped, memory / str(number) / "run")
        arguments = undisturbed.fresh(out, "--steps", "100000", "--force")
        one_wins(prefork, out, prefork.start("command", *arguments), prefork.start("command", *arguments))
        old, _ = Checkpoints(out.with_name("run.old") / "checkpoints").load()
        assert old.numbers["step"] == steps_of(stopped)


def test_a_run_that_goes_on_is_not_replaced(prefork: Prefork, undisturbed: Undisturbed, stopped: Path,
                                            memory: Path) -> None:
    """R13, and once its process is killed it can be."""
    out = shutil.copytree(stopped, memory / "run")
    running = prefork.start("command", "train", "--resume", "--out", str(out))
    wait_until(lambda: steps_of(out) > steps_of(stopped))
    code, said = prefork.run("command", *undisturbed.fresh(out, "--force"))
    assert code == 2
    assert REFUSALS[0] in only_message(said)
    running.kill()
    code, said = prefork.run("command", *undisturbed.fresh(out, "--force"))
    assert code == 0, said
    assert digests(out) == undisturbed.digests
    assert_sound(out / "checkpoints")


@needs_strace
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_they_come_together_at_the_very_rename(prefork: Prefork, undisturbed: Undisturbed, stopped: Path, memory: Path,
                                               force: tuple[str, ...]) -> None:
    """R13, with each rename of both held up, so that both have looked before either acts."""
    out = memory / "run"
    if force:
        shutil.copytree(stopped, out)
    arguments = undisturbed.fresh(out, "--steps", "100000", *force)
    children = [prefork.start("command", *arguments, stopped=True) for _ in range(2)]
    tracers = [let_go_under_strace(child, "-o", os.devnull, "-e", "trace=?rename,?renameat2",
                                   "-e", "inject=?rename,?renameat2:delay_enter=300000") for child in children]
    one_wins(prefork, out, *children)
    for tracer in tracers:
        tracer.communicate()
