"""Several ranks train one model: real processes, started by torchrun's module, on loopback."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tinylm.config.schema import RunConfig
from tinylm.errors import TinyLMError
from tinylm.model_folder import write_config
from tinylm.runs.ranks import settings_to_resume
from tinylm.runs.run import train
from tinylm.training.checkpoint import Checkpoints
from tinylm.training.world import World, joined

LAUNCHER = ("-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0")
SMALL = ("--from", "none", "--size", "0.1M", "--tokenizer", "char", "--set", "model.context_length=32",
         "--set", "train.batch_size=12", "--set", "model.dropout=0.1")
END_SECONDS = 60
"""Seconds in which a job ends when one of its ranks is lost."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun's rendezvous needs libuv there")


def command(ranks: int | None, *arguments: object) -> list[str]:
    launcher = (*LAUNCHER, "--nproc-per-node", ranks) if ranks else ()
    return [sys.executable, *map(str, (*launcher, "-m", "tinylm", "train", *arguments))]


def run(ranks: int | None, *arguments: object) -> subprocess.CompletedProcess:
    """A whole run, on so many ranks, or without torchrun."""
    return subprocess.run(command(ranks, *arguments), capture_output=True, text=True, check=False)


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in ("model.safetensors", "metrics.jsonl", "samples.jsonl")}


def job(ranks: int, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(command(ranks, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)


def step_of(folder: Path) -> int:
    found = Checkpoints(folder / "checkpoints").newest_numbers()
    return found[0]["step"] if found else 0


def wait_for_step(folder: Path, step: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while step_of(folder) < step:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ranks_of(process: subprocess.Popen) -> list[int]:
    """The process ids of the ranks, in order."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    by_rank = {}
    for pid in children:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        by_rank |= {int(each[5:]): int(pid) for each in variables if each.startswith(b"RANK=")}
    return [by_rank[rank] for rank in sorted(by_rank)]


def finish(process: subprocess.Popen, ranks: list[int]) -> str:
    """The output of a job that must end in time, and what is left of it is ended, too."""
    try:
        return process.communicate(timeout=END_SECONDS)[0]
    except subprocess.TimeoutExpired:
        for pid in (process.pid, *ranks):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        pytest.fail(process.communicate()[0])


def listening(pid: int) -> set[str]:
    """The addresses, in hex, at which a process listens."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    found = set()
    for kind in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and columns[9] in sockets:
                found.add(columns[1].partition(":")[0])
    return found


def test_two_ranks_give_the_bytes_of_one_process(tmp_path):
    steps = ("hello", *SMALL, "--steps", 6, "--out")
    one = run(None, *steps, tmp_path / "one", "--set", "train.shards=8")
    two = run(2, *steps, tmp_path / "two")
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert two.stdout.count("holds a model of") == 1  # rank 0 alone prints
    assert json.loads((tmp_path / "two" / "config.json").read_text())["train"]["shards"] == 8


def test_a_python_program_on_several_ranks_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TinyLMError, match="torchrun --nproc-per-node 2 -m tinylm train SOURCE"):
        train("hello", quiet=True)


def test_an_error_of_rank_0_is_told_once_and_ends_the_others(tmp_path):
    done = run(2, tmp_path / "missing.txt", *SMALL, "--steps", 6, "--out", tmp_path / "out")
    assert done.returncode != 0
    assert done.stderr.count("tinylm: ") == 1
    assert "missing.txt: there is no such file" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_ranks_that_cannot_be_connected_are_told_of_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "nowhere")
    done = run(2, "hello", *SMALL, "--steps", 6, "--out", tmp_path / "out")
    assert done.returncode != 0
    assert "could not be connected" in done.stderr
    assert str(Path("tinylm", "training")) not in done.stderr


@pytest.mark.parametrize(("variables", "said"), [
    ({"WORLD_SIZE": "two"}, "WORLD_SIZE"), ({"WORLD_SIZE": "2"}, "RANK"), ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK"),
    ({"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": "29500"}, "MASTER_ADDR"),
])
def test_half_of_what_torchrun_sets_is_an_error_in_a_sentence(monkeypatch, variables, said):
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if "MASTER_PORT" not in variables:
        monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(TinyLMError, match=f"^{said}: "), joined():
        pass


def test_a_run_with_a_text_beside_conversations_does_not_go_on_with_several_ranks(tmp_path):
    world = World()
    world.size = 2
    data = {"source": "chat.jsonl", "text": "book.txt"}
    config = RunConfig.from_dict({"model": {"vocab_size": 9}, "train": {"steps": 1}, "data": data})
    write_config(tmp_path, config)
    with pytest.raises(TinyLMError, match="--text: a text is read beside conversations by one process"):
        settings_to_resume({}, tmp_path, world)


KINDS = {
    "default": (),
    "dropout and accumulation": ("--set", "train.gradient_accumulation=3", "--set", "model.dropout=0.2"),
    "32 bits": ("--set", "train.precision=float32"),
    "autograd": ("--preset", "gpt2"),
    "adamw": ("--set", "train.optimizer=adamw"),
    "fewer rows than shards": ("--set", "train.batch_size=3"),
}


@pytest.mark.slow
@pytest.mark.parametrize("chosen", KINDS.values(), ids=KINDS)
def test_any_number_of_ranks_gives_the_same_bytes(tmp_path, chosen):
    found = []
    for ranks in (1, 2, 4):
        out = tmp_path / str(ranks)
        done = run(ranks, "python-reference", *SMALL, "--steps", 8, *chosen, "--out", out)
        assert done.returncode == 0, done.stderr
        found.append(digests(out))
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [(), ("--lora", "4")], ids=["all weights", "lora"])
def test_a_fine_tuned_model_has_the_same_bytes(tmp_path, chosen):
    base = run(None, "hello", *SMALL, "--steps", 5, "--out", tmp_path / "base")
    assert base.returncode == 0, base.stderr
    found = []
    for ranks in (1, 2):
        out = tmp_path / str(ranks)
        done = run(ranks, "hello", "--from", tmp_path / "base", "--steps", 6, *chosen, "--out", out)
        assert done.returncode == 0, done.stderr
        found.append(digests(out))
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize("later", [1, 3, None], ids=["on 1", "on 3", "without torchrun"])
def test_a_run_of_two_ranks_that_is_interrupted_goes_on_exactly_with_another_number(tmp_path, later):
    steps = ("python-reference", *SMALL, "--steps", 400, "--out")
    whole = run(None, *steps, tmp_path / "whole", "--set", "train.shards=8")
    assert whole.returncode == 0, whole.stderr
    out = tmp_path / "two"
    process = job(2, *steps, out)
    wait_for_step(out, 20, process)
    ranks = ranks_of(process)
    os.kill(ranks[1], signal.SIGTERM)  # any rank ends all in good order
    finish(process, ranks)
    assert 20 <= step_of(out) < 400
    done = run(later, "--resume", "--out", out)
    assert done.returncode == 0, done.stderr
    assert digests(out)["model.safetensors"] == digests(tmp_path / "whole")["model.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["SIGKILL", "SIGSTOP"])
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_lost_rank_ends_the_job_and_the_run_goes_on_from_its_checkpoint(tmp_path, rank, number):
    out = tmp_path / "run"
    process = job(3, "python-reference", *SMALL, "--steps", 100000, "--out", out)
    wait_for_step(out, 10, process)
    ranks = ranks_of(process)
    assert all(listening(pid) <= {"0100007F"} for pid in ranks)  # 127.0.0.1 and nothing else
    os.kill(ranks[rank], number)
    said = finish(process, ranks)
    assert process.returncode != 0
    expected = "another process of this run has ended" if number == signal.SIGKILL else (
        f"rank {rank} gives no sign of life")
    assert sum(expected in line for line in said.splitlines()) == 1
    assert f"tinylm train --resume --out {out}" in said
    assert str(Path("tinylm", "runs")) not in said  # no traceback of ours; torchrun prints one of its own
    reached = step_of(out)
    assert reached >= 10
    done = run(2, "--resume", "--out", out, "--steps", reached + 5)
    assert done.returncode == 0, done.stderr
