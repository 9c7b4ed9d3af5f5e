"""Ctrl-C and SIGTERM at any moment: the run ends soon, in good order, and can be gone on with exactly."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Undisturbed, digests, needs_fork
from .prefork import Child, Prefork

pytestmark = needs_fork

SOON = 15
"""Seconds: three times what is promised, since other work may keep the machine busy."""


def wait_soon(child: Child) -> tuple[int, float]:
    """Its exit code, and the seconds that it took to leave. Where nothing was left to do but to leave, the signal
    itself ends the process: that counts as 130, too."""
    began = time.monotonic()
    code = child.wait()
    code = 130 if code in (-signal.SIGINT, -signal.SIGTERM) else code
    taken = time.monotonic() - began
    assert taken < SOON, child.said
    return code, taken


def assert_ends_alike(prefork: Prefork, undisturbed: Undisturbed, out: Path) -> None:
    code, said = prefork.run("command", *undisturbed.again(out))
    assert code == 0, said
    assert digests(out) == undisturbed.digests


@pytest.mark.parametrize("moments", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_a_run_that_is_stopped_can_be_gone_on_with(prefork: Prefork, undisturbed: Undisturbed, tmp_path: Path,
                                                   moments: int) -> None:
    """R9 and R1. A run stopped before its folder is there leaves nothing."""
    draw, longest, ends = random.Random(moments), 0.0, []
    out = tmp_path / "run"
    for number in range(moments):
        fresh, asked = not out.exists(), signal.SIGTERM if number % 3 == 2 else signal.SIGINT
        child = prefork.start("command", *undisturbed.again(out))
        time.sleep(draw.uniform(0, undisturbed.seconds))
        child.signal(asked)
        code, taken = wait_soon(child)
        longest = max(longest, taken)
        ends.append((fresh, asked.name, code))
        assert "Traceback" not in child.said, child.said
        assert code in (0, 130), child.said
        assert fresh or out.exists()
        if code == 0 or number == moments - 1:
            assert_ends_alike(prefork, undisturbed, out)
            out = tmp_path / f"run{number}"
        assert not list(tmp_path.glob(".run*"))
    assert (True, "SIGINT", 130) in ends
    print(f"left after at most {longest:.2f} s: {ends}")


@pytest.mark.parametrize("moments", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_a_second_ctrl_c_leaves_at_once(prefork: Prefork, undisturbed: Undisturbed, tmp_path: Path,
                                        moments: int) -> None:
    """R9."""
    draw, longest = random.Random(moments), 0.0
    for number in range(moments):
        out = tmp_path / f"run{number}"
        child = prefork.start("command", *undisturbed.fresh(out))
        time.sleep(draw.uniform(0, undisturbed.seconds))
        child.signal(signal.SIGINT)
        time.sleep(draw.uniform(0, 0.2))
        child.signal(signal.SIGINT)
        code, taken = wait_soon(child)
        longest = max(longest, taken)
        assert "Traceback" not in child.said, child.said
        assert code in (0, 130), child.said
        assert_ends_alike(prefork, undisturbed, out)
    print(f"left after at most {longest:.2f} s")


@pytest.mark.parametrize("moments", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_ctrl_c_while_the_program_is_still_being_loaded(tmp_path: Path, moments: int) -> None:
    """R9, in a process of its own: a sentence from us, and no traceback of what was being imported, nor is it lost
    there. Where a run has begun by then, it ends in good order."""
    draw, early = random.Random(moments), 0
    for number in range(moments):
        command = ["train", "hello", "--minutes", "5", "--out", f"run{number}"]
        process = subprocess.Popen([sys.executable, "-c", "print(flush=True); from tinylm.cli import main; "
                                    f"raise SystemExit(main({command}))"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
                                   env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.2 + draw.uniform(0, 2))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=100)
        assert process.returncode == 130, (out, err)
        if (tmp_path / f"run{number}").exists():
            assert "Stopped early, as asked" in out, out
        else:
            early += 1
            assert err.strip() == "tinylm: stopped", err
    assert early, "all of them came too late"
    assert not list(tmp_path.glob(".*"))
