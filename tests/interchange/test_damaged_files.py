"""A damaged model of another program gives one of our sentences, within a second and little memory (promise F2)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "adversarial" / "imports.py"


def check(form: str, first: int, last: int, folder: Path) -> None:
    """In a process of its own, which a crash would end, and whose audit hook cannot be removed."""
    done = subprocess.run([sys.executable, "-W", "error", str(PROGRAM), form, str(first), str(last), str(folder)],
                          capture_output=True, text=True, timeout=800, check=False, env={
                              **os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROGRAM.parents[2])})
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["cases"] == last - first
    assert report["used"] > 0 < report["refused"]
    assert not report["failures"], "\n".join(report["failures"][:20])


@pytest.mark.parametrize("form", ["gguf", "hf", "peft", "gguf-adapter"])
def test_damage_is_a_sentence(form: str, tmp_path: Path) -> None:
    check(form, 0, 2000, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(2000, 50_000, 12_000))
@pytest.mark.parametrize("form", ["gguf", "hf", "peft", "gguf-adapter"])
def test_much_damage_is_a_sentence(form: str, first: int, tmp_path: Path) -> None:
    check(form, first, first + 12_000, tmp_path)
