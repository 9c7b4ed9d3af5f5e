"""The self-test of the compiled engine: logits and chosen ids of small models against the torch module."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from tinylm.config.schema import ModelConfig, SampleConfig, WeightDtype
from tinylm.engine.engine import Engine
from tinylm.engine.forward import SOURCES, forward
from tinylm.engine.kv_cache import SequenceCache
from tinylm.engine.sampling_records import SamplingRecords
from tinylm.jit.self_test import Comparison, SelfTest, Verdict, compare
from tinylm.model.tensors import weights_of
from tinylm.sampling.sampler import Sampler

LIMIT = 1e-4
"""The largest error of logits that are right, against a module whose weights are rounded in the same way. Measured:
5e-7."""
LENGTH, STEPS = 120, 20
"""Ids that are read in one call, enough for several cores; and then written one after another."""
SHAPES: tuple[dict[str, Any], ...] = (
    {"n_kv_heads": 2},
    {"mlp": "gelu", "norm": "layernorm", "norm_eps": 1e-5, "positions": "learned", "qk_norm": False, "bias": True},
    {"mlp": "relu", "norm": "layernorm", "norm_position": "post", "positions": "none", "head_bias": True, "d_mlp": 77},
    {"mlp": "squared_relu", "n_heads": 3, "d_head": 20})


@cache
def engine_test(weight_dtype: WeightDtype) -> SelfTest:
    """The self-test of the engine with weights of one format."""
    return SelfTest(f"the compiled engine ({weight_dtype})", forward, SOURCES, partial(_test, weight_dtype),
                    "PyTorch computes the model, with weights of 32 bits, which is slower")


def _test(weight_dtype: WeightDtype) -> Verdict:
    results: list[Comparison] = []
    for shape in SHAPES:
        config = ModelConfig(vocab_size=67, context_length=LENGTH + STEPS, d_model=64, n_layers=2,
                             **{"n_heads": 4, **shape})
        results += _results(config, weight_dtype)
    return compare(results, LIMIT)


def _results(config: ModelConfig, weight_dtype: WeightDtype) -> Iterator[Comparison]:
    import torch

    from tinylm.model.threads import torch_threads
    from tinylm.model.transformer import TinyLM

    model, generator = TinyLM(config).eval(), torch.Generator().manual_seed(0)
    with torch.no_grad(), torch_threads(1):
        for parameter in model.parameters():  # no part is without effect
            parameter.normal_(float(parameter.ndim == 1), 0.2, generator=generator)
        weights = {name: array.copy() for name, array in weights_of(model).items()}
        ids = np.random.default_rng(0).integers(3, config.vocab_size, LENGTH).tolist()
        read, written, chosen = _by_engine(Engine(config, weights, weight_dtype), ids)
        _round_matrices(model, weight_dtype)
        expected = model(torch.tensor([[*ids, *chosen]]))[0].numpy()
    kind = f"{config.mlp}, {config.norm}, {config.positions}"
    yield f"logits of a text read at once ({kind})", read, expected[:LENGTH]
    yield f"logits of a text that is written ({kind})", written, expected[LENGTH - 1:-1]
    yield f"the likeliest ids ({kind})", chosen.astype(np.float64), written.argmax(axis=1).astype(np.float64)


def _by_engine(engine: Engine, ids: list[int]) -> tuple[Any, Any, Any]:
    """Logits (LENGTH, V) of ids that are read, logits (STEPS, V) after each step of writing on, and the ids chosen."""
    cache, vocab_size = SequenceCache(engine.config), engine.config.vocab_size
    sampler = Sampler(SampleConfig(greedy=True), ids, np.zeros(vocab_size, np.float32), 0)
    read = engine.read([cache] * len(ids), ids, len(ids)).copy()
    cache.length -= 1
    chosen, written = engine.write([cache], ids[-1:], SamplingRecords([sampler], eos_id=-1), STEPS)
    return read, written[:, 0].copy(), chosen[:, 0].copy()


def _round_matrices(model: Any, weight_dtype: WeightDtype) -> None:
    """Rounds the matrices of a module as the engine keeps them: to bfloat16, or to 127 steps on either side of zero for
    each output."""
    for name, parameter in model.named_parameters():
        if "proj.weight" in name or name == "out_head.weight":
            if weight_dtype == "bf16":
                parameter.copy_(parameter.bfloat16())
            elif weight_dtype == "int8":
                scales = parameter.abs().amax(dim=1, keepdim=True) / 127
                parameter.copy_((parameter / scales).round() * scales)
