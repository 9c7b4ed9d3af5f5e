"""Compiled kernels before a run are those that the run calls."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from numba import float32, typeof

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.transformer import TinyLM
from tinylm.runs import precompile
from tinylm.training.backend import Compute, TrainingBackend
from tinylm.training.cpu import attention, kernels, network, packed_matmul
from tinylm.training.optimizer import make_optimizers
from tinylm.training.precision import choose_precision


@pytest.fixture
def called(monkeypatch):
    """By the name of a kernel, the types that it was called with."""
    seen = {}

    def recording(kernel):
        def call(*arrays):
            seen.setdefault(kernel.py_func.__name__, set()).add(tuple(map(typeof, arrays)))
            return kernel(*arrays)
        return call

    for module in (kernels, attention, packed_matmul):
        for name, kernel in list(vars(module).items()):
            ours = getattr(getattr(kernel, "py_func", None), "__module__", "") == module.__name__
            if ours and not name.startswith("_"):
                monkeypatch.setattr(module, name, recording(kernel))
    recorded = {name: tuple(map(recording, pair)) for name, pair in network.ACTIVATIONS.items()}
    monkeypatch.setattr(network, "ACTIVATIONS", recorded)
    return seen


@pytest.fixture(params=["auto", "float32"])
def precision(request):
    return request.param


@pytest.fixture
def signatures(precision):
    stored = precompile.BITS[32 if precision == "float32" else precompile.ACTIVATION_BITS]
    kernels = [*precompile.forward(stored), *precompile.forward(float32), *precompile.backward(stored)]
    return {kernel.py_func.__name__: {types for other, types in kernels if other is kernel} for kernel, _ in kernels}


@pytest.mark.parametrize("changed", [{}, {"n_kv_heads": 2, "qk_norm": False, "tied_embeddings": True}], ids=str)
def test_kernels_are_compiled_for_the_types_they_are_called_with(signatures, called, changed, precision):
    cpu = torch.device("cpu")
    compute = Compute(cpu, choose_precision(precision, cpu), ThreadPool(), fast=True)
    model = TinyLM(ModelConfig(vocab_size=40, context_length=8, d_model=16, n_layers=1, n_heads=2, **changed))
    ids, backend = np.ones((2, 8), np.int64), TrainingBackend(model, compute)
    backend.backward([(ids, ids)], 16, 0)
    backend.loss(ids, ids)
    for optimizer in make_optimizers(model, TrainConfig(steps=1), compute):
        optimizer.step()
    assert called == signatures


@pytest.mark.parametrize(("cores", "gigabytes", "processes"), [(2, 8.0, 3), (64, 1.0, 1), (1, 8.0, 1)])
def test_where_cores_or_memory_are_few_one_process_compiles_all(monkeypatch, cores, gigabytes, processes):
    monkeypatch.setattr(precompile, "available_cores", lambda: cores)
    monkeypatch.setattr(precompile, "available_memory_bytes", lambda: int(gigabytes * 1e9))
    bits = precompile.ACTIVATION_BITS
    for precision, passes in (("auto", {f"backward-{bits}", f"forward-{bits}", "forward-32"}),
                              ("float32", {"backward-32", "forward-32"})):
        helpers = precompile.helpers(precision)
        assert len(helpers) == processes
        assert {share for shares in helpers for share in shares} == passes | {"choice"} <= set(precompile.SHARES)


RUN = """
import sys
from tinylm.runs import precompile

if sys.argv[2] == "one process":
    precompile.available_cores = lambda: 1
precompile.start()
precompile.finish()
import tinylm
from tinylm.sampling.filters import choose
from tinylm.training.cpu import activations, attention, kernels, packed_matmul

tinylm.train("python-reference", steps=2, size="0.1M", tokenizer="char", out=sys.argv[1], quiet=True)
used = [choose, attention.attend, attention.attend_backward, activations.swiglu, activations.swiglu_backward,
        kernels.embed, kernels.embed_backward, kernels.norm, kernels.norm_backward, kernels.add_norm,
        kernels.cross_entropy, packed_matmul.pack, packed_matmul.multiply]
print(len(used), sum(sum(each.stats.cache_hits.values()) > 0 for each in used),
      sum(sum(each.stats.cache_misses.values()) for each in used))
"""


@pytest.mark.slow
@pytest.mark.parametrize("helpers", ["three processes", "one process"])
def test_a_run_compiles_nothing_more(tmp_path, helpers):
    done = subprocess.run([sys.executable, "-c", RUN, tmp_path / "run", helpers], capture_output=True, text=True,
                          check=False, timeout=400,
                          env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "compiled")})
    assert done.stdout.split() == ["13", "13", "0"], done.stdout + done.stderr


@pytest.mark.parametrize("program", ["", None, "/opt/game/game.exe", "/usr/sbin/uwsgi", "/no/such/place/python3.11"])
def test_a_program_that_is_no_interpreter_starts_no_helper_and_runs_on(program, monkeypatch):
    """A frozen program would start itself, again and again."""
    monkeypatch.setattr(precompile, "is_compiled", lambda _kernel: False)
    monkeypatch.setattr(precompile.sys, "executable", program)
    precompile.start()
    assert precompile._running == []
