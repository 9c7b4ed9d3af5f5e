"""R14: every command keeps its promises under Windows' rules for files, its output in Windows' encoding."""

from __future__ import annotations

import json
import shutil
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from .conftest import Windows

pytestmark = pytest.mark.needs_posix  # on Windows the rules are the system's own


@pytest.fixture(scope="module")
def run(windows: Windows, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 30 steps. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "bottles"
    windows.train(text, folder, "--steps", 30)
    return folder


def steps(folder: Path) -> int:
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["event"] == "finished"
    return last["step"]


def assert_tidy(folder: Path, *beside: str) -> None:
    """Nothing is left over: beside the run, in it, and among its checkpoints."""
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted((folder.name, *beside))
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    left = [path.name for path in (folder / "checkpoints").iterdir()]
    assert len(left) == 2, left
    assert all(name[0].isdigit() for name in left), left


def test_a_run_leaves_a_model_and_nothing_else(run: Path) -> None:
    assert steps(run) == 30
    assert_tidy(run)


def test_no_file_has_windows_line_ends(run: Path) -> None:
    assert not [path for path in run.rglob("*") if path.suffix != ".safetensors" and path.is_file()
                and b"\r" in path.read_bytes()]


def test_a_model_is_replaced_again_and_again_and_an_empty_folder_is_filled(
        windows: Windows, run: Path, text: Path, tmp_path: Path) -> None:
    out = shutil.copytree(run, tmp_path / "bottles")
    for count in (10, 11):
        windows.train(text, out, "--force", "--steps", count)
        assert steps(out) == count
    assert steps(out.with_name("bottles.old")) == 10
    assert_tidy(out, "bottles.old")
    (tmp_path / "empty").mkdir()
    windows.train(text, tmp_path / "empty", "--steps", 5)
    assert steps(tmp_path / "empty") == 5


def test_a_run_is_resumed_twice(windows: Windows, run: Path, tmp_path: Path) -> None:
    out = shutil.copytree(run, tmp_path / "bottles")
    for count in (60, 90):
        windows.tinylm("train", "--resume", "--out", out, "--steps", count)
        assert steps(out) == count
    assert_tidy(out)


def test_what_reads_a_model_reads_it(windows: Windows, run: Path, text: Path, tmp_path: Path) -> None:
    out = shutil.copytree(run, tmp_path / "bottles")
    for _ in range(2):
        windows.tinylm("report", out)
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")
    written = json.loads(windows.tinylm("generate", out, "7 Flaschen", "--max-tokens", 40, "--seed", 1, "--json"))
    assert written["text"]
    assert windows.tinylm("predict", out, "7 Fl")
    assert windows.tinylm("inspect", out)
    assert windows.tinylm("evaluate", out, text)
    assert_tidy(out)


def test_chat(windows: Windows, run: Path) -> None:
    process = windows.start("chat", run)
    said, errors = process.communicate("7 Fl\n")
    assert (process.returncode, "Traceback" in errors) == (0, False)
    assert len(said) > 5


def test_a_model_is_read_beside_its_run(windows: Windows, run: Path, tmp_path: Path) -> None:
    """By generate and serve, and by a program that keeps its file open for longer than a run waits."""
    out = shutil.copytree(run, tmp_path / "bottles")
    training = windows.start("train", "--resume", "--out", out, "--steps", 10**6)
    serving = windows.start("serve", out, "--port", 0, "--json")
    assert training.stdout
    assert serving.stdout
    assert any("loss" in line for line in training.stdout)
    url = json.loads(serving.stdout.readline())["url"]
    for _ in range(2):
        windows.tinylm("generate", out, "7 Fl", "--max-tokens", 10)
        request = urllib.request.Request(f"{url}/v1/completions", b'{"model": "bottles", "prompt": "7"}',
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert reply.status == 200
    with open(out / "model.safetensors", "rb"):
        time.sleep(4)
        assert training.poll() is None, training.communicate()
    for process in (training, serving):
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate()
        assert "Traceback" not in said + errors, said + errors
    assert steps(out) > 30
    assert_tidy(out)
