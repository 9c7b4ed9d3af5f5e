"""What only a process of its own shows: what a command imports, and how it takes Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinylm.cli import COMMANDS

from .conftest import Command

LARGE = {"torch", "numpy", "pydantic", "tokenizers", "safetensors", "rich"}

IMPORTED = """
import json, sys
from tinylm.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted(name for name in sys.modules if "." not in name)]), file=sys.stderr)
"""


def what_it_imports(*arguments: object) -> tuple[str, set[str]]:
    """Runs a command that must succeed: what it printed, and the names of all that it imported."""
    done = subprocess.run([sys.executable, "-c", IMPORTED, *map(str, arguments)], capture_output=True, text=True,
                          check=True, timeout=100)
    code, names = json.loads(done.stderr)
    assert code == 0
    return done.stdout, set(names)


def test_the_list_of_commands_imports_nothing_large() -> None:
    out, names = what_it_imports("--help")
    assert not names & LARGE
    for name, about in COMMANDS.items():
        assert f"{name:<10} {about}" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_nothing_large(name: str) -> None:
    out, names = what_it_imports(name, "--help")
    assert not names & LARGE
    assert f"usage: tinylm {name}" in out
    assert f"For example:  tinylm {name}" in out


def test_what_does_not_write_needs_no_compiler(hello: Path) -> None:
    for command in (("tokenize", hello, "how are you ?"), ("inspect", hello)):
        assert "numba" not in what_it_imports(*command)[1]


def test_what_needs_no_torch_imports_none(hello: Path) -> None:
    for command in (("tokenize", hello, "how are you ?"), ("inspect", hello), ("--version",)):
        assert "torch" not in what_it_imports(*command)[1]


def test_what_takes_long_is_said_beforehand_and_done_once(tmp_path: Path) -> None:
    """The notebook's shape needs no kernels of training: what is compiled is the choice of tokens alone."""
    command = [sys.executable, "-m", "tinylm", "plan", "hello", "--preset", "notebook"]
    said = [subprocess.run(command, capture_output=True, text=True, check=True, timeout=100,
                           env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}).stderr for _ in range(2)]
    assert said == ["compiling  the choice of tokens for this processor, once\n", ""]


# ---- Ctrl-C


@contextmanager
def training(out: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A run of many steps, given back once it has said how the first of them went."""
    command = [sys.executable, "-m", "tinylm", "train", "hello", "--preset", "notebook", "--epochs", "3000"]
    process = subprocess.Popen([*command, "--out", str(out), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"})
    with process:
        try:
            assert process.stdout
            assert any("epoch" in line and "loss" in line for line in process.stdout), "it ended before it began"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.needs_posix
def test_a_run_that_is_stopped_leaves_a_model(tinylm: Command, tmp_path: Path, number: signal.Signals) -> None:
    with training(tmp_path / "model") as process:
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "")
    assert "Stopped early, as asked." in out
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    last = json.loads((tmp_path / "model" / "metrics.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["reason"]) == ("finished", "interrupted")
    assert last["step"] < 3000
    told = tinylm("generate", tmp_path / "model", "hello , how is", "--greedy", "--json").json
    assert told["text"] == "your day ?"


def test_the_model_that_a_run_replaces_is_kept(tinylm: Command, hello: Path, tmp_path: Path) -> None:
    shutil.copytree(hello, tmp_path / "model")
    with training(tmp_path / "model", "--force") as process:
        process.kill()
        process.wait(timeout=60)
    asked = ("how are", "--json")
    assert tinylm("predict", tmp_path / "model.old", *asked).json == tinylm("predict", hello, *asked).json


def read_one_line(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a command into a pipe that is closed after the first line. The exit code is that of the command."""
    command = " ".join(f'"{argument}"' for argument in (sys.executable, "-m", "tinylm", *arguments))
    return subprocess.run(f'{command} | head -1; exit "${{PIPESTATUS[0]}}"', shell=True, executable="/bin/bash",
                          capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.needs_posix
def test_a_reader_that_has_seen_enough_is_no_error(hello: Path) -> None:
    piped = read_one_line("inspect", hello)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout.startswith("TinyLM")


@pytest.mark.needs_posix
def test_a_run_goes_on_when_nobody_reads_along(tinylm: Command, tmp_path: Path) -> None:
    piped = read_one_line("train", "hello", "--preset", "notebook", "--epochs", 50, "--out", tmp_path / "model")
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout.startswith("text ")
    assert tinylm("predict", tmp_path / "model", "how").code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
class TestAnOutputThatIsFull:
    def test_a_run_goes_on(self, tinylm: Command, tmp_path: Path) -> None:
        ended = write_to_full_disk("train", "hello", "--preset", "notebook", "--epochs", 9, "--out", tmp_path / "m")
        assert ended.returncode == 0
        assert tinylm("predict", tmp_path / "m", "how").code == 0

    def test_an_answer_that_is_lost_is_an_error(self, hello: Path) -> None:
        ended = write_to_full_disk("inspect", hello)
        assert ended.returncode == 2
        assert ended.stderr == "tinylm: the output could not be written (No space left on device)\n"


def write_to_full_disk(*arguments: object) -> subprocess.CompletedProcess[str]:
    with open("/dev/full", "w", encoding="utf-8") as full:
        return subprocess.run([sys.executable, "-m", "tinylm", *map(str, arguments)], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=100, check=False)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.needs_posix
def test_an_output_that_is_closed_is_like_one_that_nobody_reads(tinylm: Command, tmp_path: Path, closed: str) -> None:
    """And the files that are written hold nothing that was meant for it."""
    words = (sys.executable, "-m", "tinylm", "train", "hello", "--preset", "notebook", "--epochs", "9", "--out")
    for name, ending in (("open", ""), ("closed", closed)):
        ended = subprocess.run(f"{shlex.join((*words, str(tmp_path / name)))} {ending}", shell=True,
                               capture_output=True, text=True, timeout=100, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("open", "closed")]
    assert weights[0] == weights[1]
    assert tinylm("predict", tmp_path / "closed", "how").code == 0
    assert os.system(f"{shlex.join((*words[:3], 'predict', str(tmp_path / 'none'), 'how'))} {closed}") >> 8 == 2


def test_a_process_that_ends_at_once_has_told_all_and_left_nothing(tmp_path: Path) -> None:
    """Ids that had no place to be kept lie in a temporary folder, which is removed at the end of the process."""
    (tmp_path / "no folder").write_text("")
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TINYLM_CACHE": str(tmp_path / "no folder"), "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run([sys.executable, "-m", "tinylm", "train", "hello", "--steps", "2", "--out", "run", "--json"],
                          cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=100)
    assert json.loads(done.stdout)["step"] == 2
    assert list((tmp_path / "temporary").glob("tinylm-*")) == []
