"""Self-tests: the verdict is made once, kept beside the code, and made again where it cannot be read."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tinylm.jit import self_test
from tinylm.jit.self_test import SelfTest, Verdict, compare, no_result
from tinylm.sampling.filters import choose

RIGHT, WRONG = Verdict(0.0, 0.1, "a"), Verdict(0.31, 0.05, "layers.0.attn.q_proj.weight")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of verdicts, which lie beside compiled code elsewhere."""
    monkeypatch.setattr(self_test, "folder_of", lambda _: str(tmp_path))
    return tmp_path


class Counted:
    """A test that counts its calls."""

    def __init__(self, outcome: Verdict | Exception) -> None:
        self.outcome, self.calls = outcome, 0

    def __call__(self) -> Verdict:
        self.calls += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def new(test: Counted, sources: str = "1") -> SelfTest:
    """The self-test as a new program has it."""
    return SelfTest("the engine (int8)", choose, sources, test, "PyTorch computes the model")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verdict", [RIGHT, WRONG, Verdict(math.inf, 0.1, "b")])
def test_a_verdict_is_made_once_for_all_programs(verdict: Verdict) -> None:
    test = Counted(verdict)
    assert [new(test).verdict for _ in range(3)] == [verdict] * 3
    assert test.calls == 1


@pytest.mark.usefixtures("folder")
def test_other_sources_are_tested_anew() -> None:
    test = Counted(RIGHT)
    assert new(test, "1").verdict == new(test, "2").verdict == RIGHT
    assert test.calls == 2


@pytest.mark.parametrize("content", ["", "[]", '{"error": 0}', "\0"])
def test_a_verdict_that_cannot_be_read_is_made_anew(folder: Path, content: str) -> None:
    test = Counted(RIGHT)
    new(test).run()
    kept, = folder.iterdir()
    kept.write_text(content)
    assert new(test).verdict == RIGHT
    assert test.calls == 2
    assert json.loads(kept.read_text())["where"] == "a"


def test_without_a_folder_every_program_tests_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "folder_of", lambda _: None)
    test, again = Counted(RIGHT), Counted(RIGHT)
    program = new(test)
    assert program.verdict == program.verdict == new(again).verdict == RIGHT
    assert (test.calls, again.calls) == (1, 1)


def test_an_exception_counts_as_wrong_for_this_program_alone(folder: Path) -> None:
    test = Counted(MemoryError("too much"))
    assert new(test).verdict == no_result("MemoryError: too much")
    assert not new(test).verdict.is_right
    assert test.calls == 2
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("folder")
def test_a_wrong_path_is_said_once_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    program = new(Counted(WRONG))
    assert not program.verdict.is_right
    assert not program.verdict.is_right
    assert capsys.readouterr().err == (
        "note       the engine (int8) gives wrong results on this processor: layers.0.attn.q_proj.weight is off by "
        "31%, and 5% is the limit. PyTorch computes the model. To test it again: tinylm machine\n")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_results_that_are_not_finite_are_wrong(number: float) -> None:
    one = np.ones(3)
    verdict = compare([("a", one, one), ("b", np.array([1, number, 1]), one), ("c", one, one)], 0.1)
    assert (verdict.is_right, verdict.error, verdict.where) == (False, math.inf, "b")
    assert str(verdict) == "b is not finite, and 10% is the limit"
