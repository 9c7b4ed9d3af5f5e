"""Compiled code that is wrong: it is not used, a sentence says so, and what takes its place is right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tinylm.generation.self_test import engine_test
from tinylm.hardware.self_test import check_paths
from tinylm.jit import self_test
from tinylm.model_folder import WEIGHTS

WRONG = """
import sys
from tinylm.jit import self_test

self_test.folder_of = lambda _: sys.argv[1]


class Wrong:
    def __init__(self, kernel, change):
        self.kernel, self.change = kernel, change

    def __getattr__(self, name):
        return getattr(self.kernel, name)

    def __call__(self, *arguments):
        return self.change(self.kernel, *arguments)


def embed_too_much(kernel, ids, gradient, out):
    kernel(ids, gradient, out)
    out *= 1.2


def attend_too_sharply(kernel, models, *others):
    models = models.copy()
    models["scale"] *= 1.5
    kernel(models, *others)
"""
TRAINING = WRONG + """
from tinylm.training.cpu import kernels

kernels.embed_backward = Wrong(kernels.embed_backward, embed_too_much)
"""
ENGINE = WRONG + """
from tinylm.engine import engine

engine.forward = Wrong(engine.forward, attend_too_sharply)
"""
TRAIN = """
from tinylm.cli import main

main(["train", "hello", "--size", "0.1M", "--steps", "3", "--out", sys.argv[2]])
"""
BY_AUTOGRAD = """
import sys
from tinylm.training import backend

backend.has_fast_path = lambda _: False
"""
WRITE = """
import tinylm

for weight_dtype in ("fp32", "int8"):
    lm = tinylm.load(sys.argv[2], weight_dtype=weight_dtype)
    print(lm.served_by, lm.generate("how are", greedy=True), lm.generate("how is", greedy=True))
"""


def run(program: str, *arguments: Path) -> tuple[str, str]:
    """Runs a program: what it printed, and what it said."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False,
                          timeout=280, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_training_by_wrong_code_falls_back_to_autograd(tmp_path: Path) -> None:
    verdicts, model, expected = (tmp_path / name for name in ("verdicts", "model", "expected"))
    verdicts.mkdir()
    out, said = run(TRAINING + TRAIN, verdicts, model)
    run(BY_AUTOGRAD + TRAIN, verdicts, expected)
    assert "gives wrong results on this processor: the gradient of embed.weight is off by 20" in said
    assert "Training is by PyTorch's autograd, which is slower. To test it again: tinylm machine" in said
    assert said.count("gives wrong results") == 1
    assert "32-bit floats" in out
    assert (model / WEIGHTS).read_bytes() == (expected / WEIGHTS).read_bytes()


def test_the_verdict_holds_for_later_programs(tmp_path: Path, hello_run: Path) -> None:
    out, said = run(ENGINE + WRITE, tmp_path, hello_run)
    assert out.splitlines() == ["torch you ? your day ?"] * 2
    for weight_dtype in ("fp32", "int8"):
        assert f"the compiled engine ({weight_dtype}) gives wrong results on this processor: logits of a text" in said
    assert run(WRONG + WRITE, tmp_path, hello_run) == (out, said)


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_code_that_ends_its_process_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                 hello_run: Path) -> None:
    """Whoever sees a command end without a word calls `tinylm machine`; from then on, the code is not used."""
    (tmp_path / "sitecustomize.py").write_text("""
import sys
if "tinylm.hardware.paths" in sys.orig_argv:
    import os, signal
    import tinylm.engine.engine

    tinylm.engine.engine.forward = lambda *_: os.kill(os.getpid(), signal.SIGILL)
""")
    known = engine_test("int8")
    monkeypatch.setitem(vars(known), "verdict", known.verdict)  # which holds again when this test is over
    monkeypatch.setattr(self_test, "folder_of", lambda _: str(tmp_path))
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    with monkeypatch.context() as children:
        children.setenv("PYTHONPATH", paths)
        engine, products = check_paths(["writing int8", "products bfloat16"])
    assert str(engine.verdict) == f"no result: its process was ended by {signal.SIGILL.name}"
    assert products.verdict.is_right
    out, said = run(WRONG + WRITE.replace('("fp32", "int8")', '["int8"]'), tmp_path, hello_run)
    assert out == "torch you ? your day ?\n"
    assert "(int8) gives wrong results on this processor: no result: its process was ended by SIGILL. PyTorch" in said
