"""`tinylm machine`: the command itself, and its lines for machines that are not this one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

import tinylm
from tests.cli.conftest import run_elsewhere
from tinylm.hardware import choice
from tinylm.hardware.choice import training_choice, writing_choice
from tinylm.hardware.facts import CacheFolder, Facts, gather_facts
from tinylm.hardware.paths import NAMES, PathResult
from tinylm.jit.self_test import SelfTest, Verdict, no_result
from tinylm.jit.thread_pool import ThreadPool
from tinylm.reports.hardware_lines import facts_lines, hints, result_lines
from tinylm.sampling.filters import choose
from tinylm.training.backend import Compute

CPU = torch.device("cpu")
RIGHT = [PathResult(name, Verdict(1e-6, 1e-4, "a logit"), 300.0 if "int8" in name else 100.0, 50.0, "tokens/s")
         for name in NAMES]
QUIET = Facts(system="Linux 6.1, x86_64", processor="A Processor", target="x", present_cores=8, usable_cores=8,
              fast_cores=8, torch_threads=8, load=0.0, vector_unit="AVX2", lanes=8, fma=True, memory_bytes=16 * 10**9,
              free_memory_bytes=9 * 10**9, disk_folder="/home/a", free_disk_bytes=10**11, gpu=None, gpu_bytes=0,
              idle_gpu=False, compiled=CacheFolder("/home/a/code", 10**7, True),
              ids=CacheFolder("/home/a/.cache/tiny lm", 10**9, True),
              versions={"tinylm": "1", "python": "3.12.1", "torch": "2.13.0+cpu", "numba": "0.68", "numpy": "2"})


@pytest.fixture(scope="module")
def machine() -> dict[str, Any]:
    """This machine, as a program reads it."""
    return json.loads(run_elsewhere("machine", "--json"))


def test_every_path_of_this_machine_is_right_and_taken(machine: dict[str, Any]) -> None:
    assert [path["name"] for path in machine["paths"]] == list(NAMES)
    for path in machine["paths"]:
        assert path["right"], path
        assert path["error"] <= path["limit"]
        assert path["speed"] > 0 < path["reference_speed"]
    assert machine["writing"]["path"] == "compiled"
    assert machine["training"]["path"] == ("gpu" if machine["gpu"] else "compiled")


def test_the_facts_are_of_this_machine(machine: dict[str, Any]) -> None:
    here = gather_facts(tinylm.__version__)
    assert (machine["usable_cores"], machine["processor"]) == (here.usable_cores, here.processor)
    assert machine["memory_bytes"] == here.memory_bytes > machine["free_memory_bytes"] > 0
    assert machine["versions"] == here.versions
    assert machine["lanes"] in (1, 4, 8, 16)


def test_facts_are_aligned_lines() -> None:
    lines = facts_lines(replace(QUIET, usable_cores=6, fast_cores=4))
    assert all(line[10] == " " != line[11] for line in lines)
    assert "cores      6 usable of 8, of which 4 are fast" in lines
    assert "disk       100.0 GB free at /home/a" in lines
    assert "ids        of texts, kept at /home/a/.cache/tiny lm (1.0 GB)" in lines


def test_a_quiet_machine_needs_no_hints() -> None:
    assert not list(hints(QUIET, RIGHT))


@pytest.mark.parametrize(("changed", "said"), [
    ({"idle_gpu": True}, "-m pip install --force-reinstall torch==2.13.0"),
    ({"load": 20.0}, "other programs keep the cores busy (load 20)"),
    ({"torch_threads": 1}, "training takes 1 of 8 cores"),
    ({"free_memory_bytes": 10**8}, "tinylm plan SOURCE"),
    ({"free_disk_bytes": 10**9}, "to free 1.0 GB, which are made anew when needed: rm -r '/home/a/.cache/tiny lm/ids'"),
    ({"compiled": CacheFolder("/tmp/x", 0, False)}, "Set NUMBA_CACHE_DIR to a folder of yours"),
    ({"ids": CacheFolder(None, 0, False)}, "Set TINYLM_CACHE to a folder of yours"),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_what_is_missing_has_a_hint(changed: dict[str, Any], said: str) -> None:
    hint, = hints(replace(QUIET, **changed), RIGHT)
    assert said in hint


def test_a_wrong_path_stands_out() -> None:
    results = [replace(RIGHT[0], verdict=no_result("its process was ended by SIGILL")), *RIGHT[1:]]
    lines = result_lines(results)
    assert lines[1].split() == ["training", "float32", "WRONG"]
    assert lines[-1] == "training float32 is wrong: no result: its process was ended by SIGILL"
    assert "tinylm machine" in next(hints(QUIET, results))


def test_the_choice_for_writing_names_the_quickest_weights() -> None:
    choice = writing_choice(RIGHT)
    assert choice.path == "compiled"
    assert "--weight-dtype int8 is 3.0 times as fast again" in choice.reason.replace("it is ", "is ")


def test_the_choices_follow_from_the_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Verdict(0.4, 0.1, "a logit")
    test = SelfTest("the engine", choose, "", lambda: wrong, "PyTorch writes")
    vars(test)["verdict"] = wrong
    monkeypatch.setattr(choice, "engine_test", lambda _: test)
    autograd = Compute(CPU, torch.float32, ThreadPool(), fast=False)
    monkeypatch.setattr(choice, "choose_compute", lambda *_, **__: autograd)
    results = [replace(each, verdict=wrong) for each in RIGHT]
    writing, training = writing_choice(results), training_choice(results, CPU)
    assert (writing.path, training.path) == ("torch", "torch")
    assert "The compiled engine is wrong on this processor: a logit is off by 40%" in writing.reason
    assert "autograd (CPU, 1 thread, 32-bit floats). Compiled training is wrong" in training.reason


def test_bfloat16_is_said_where_it_is_taken() -> None:
    compute = training_choice(RIGHT, CPU)
    assert compute.path == "compiled"
    assert "2.0 times the speed of PyTorch's autograd" in compute.reason
    assert math.isnan(PathResult("training float32", no_result(""), 0.0, 0.0, "").factor)
