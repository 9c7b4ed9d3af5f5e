"""Counts from the config alone are what the real module has and does."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from tinylm.config.presets import PRESETS, SIZES, size
from tinylm.config.schema import ModelConfig
from tinylm.inspection import structure
from tinylm.model.kv_cache import KVCache
from tinylm.model.taps import hooked
from tinylm.model.transformer import TinyLM

NOTEBOOK = ModelConfig.preset("notebook", vocab_size=12)
NOTEBOOK_SUM = "12*32 + 2*(4*33*32 + 33*64 + 65*32 + 2*32 + 2*32) + 2*32 + 33*12"


@st.composite
def configs(draw):
    """Configs with every choice that changes a shape; all lengths differ, so that none passes for another."""
    tied, kv_heads = draw(st.booleans()), draw(st.sampled_from((1, 2, 4)))
    return ModelConfig(
        vocab_size=draw(st.integers(50, 60)), context_length=draw(st.integers(20, 30)), d_model=16, n_heads=4,
        n_kv_heads=kv_heads, n_layers=draw(st.integers(0, 3)), d_mlp=draw(st.integers(31, 45)),
        mlp=draw(st.sampled_from(("relu", "swiglu"))), norm=draw(st.sampled_from(("layernorm", "rmsnorm"))),
        norm_position=draw(st.sampled_from(("pre", "post"))), qk_norm=draw(st.booleans()), bias=draw(st.booleans()),
        positions=draw(st.sampled_from(("none", "learned", "rotary"))), tied_embeddings=tied,
        head_bias=not tied and draw(st.booleans()), **draw(st.sampled_from(({}, {"d_head": 6}, {"d_head": 2}))),
    )


every_shape = settings(derandomize=True, deadline=None, max_examples=80)


@every_shape
@given(config=configs())
def test_the_table_is_the_modules_own(config):
    parameters = [(name, tuple(p.shape), p.numel()) for name, p in TinyLM(config).named_parameters()]
    assert [(t.name, t.shape, t.count) for t in structure.parameter_table(config)] == parameters
    assert structure.total_parameters(config) == sum(count for _, _, count in parameters)


@every_shape
@given(config=configs())
def test_every_formula_gives_its_count(config):
    for tensor in structure.parameter_table(config):
        named = {field: getattr(config, field) for field in tensor.symbols.split(" * ")}
        assert tensor.formula == " * ".join(str(number) for number in named.values())
        assert math.prod(named.values()) == tensor.count == math.prod(tensor.shape)


@every_shape
@given(config=configs())
def test_the_breakdown_sums_to_the_total(config):
    assert eval(structure.breakdown(config)) == structure.total_parameters(config)


def test_the_notebooks_own_sum():
    assert structure.breakdown(NOTEBOOK) == NOTEBOOK_SUM
    assert structure.total_parameters(NOTEBOOK) == eval(NOTEBOOK_SUM) == 17_932
    first = structure.parameter_table(NOTEBOOK)[0]
    assert (first.symbols, first.formula, first.count) == ("vocab_size * d_model", "12 * 32", 384)


@pytest.mark.parametrize("preset", PRESETS)
def test_memory_is_that_of_the_tensors(preset):
    config = ModelConfig.preset(preset, vocab_size=37)
    model, cache = TinyLM(config), KVCache(config, 1, 9)
    assert structure.weight_bytes(config) == sum(p.numel() * p.element_size() for p in model.parameters())
    assert structure.weight_bytes(config, 2) == structure.weight_bytes(config) // 2
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert structure.kv_cache_bytes(config, 9) == held > 0


@settings(derandomize=True, deadline=None, max_examples=12)
@given(config=configs(), length=st.integers(1, 20))
def test_flops_are_those_that_torch_counts(config, length):
    """Hooked, so that attention is written out and each of its products is counted as a matrix product."""
    model, ids = TinyLM(config), torch.zeros(2, length, dtype=torch.int64)
    with FlopCounterMode(display=False) as forward, hooked(model, lambda _, activation: activation):
        logits = model(ids)
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    tokens = ids.numel()
    assert structure.flops_per_token(config, length) * tokens == forward.get_total_flops()
    both = forward.get_total_flops() + backward.get_total_flops()
    assert structure.training_flops_per_token(config, length) * tokens == both


def test_describe_is_what_inspect_prints():
    described = json.loads(json.dumps(structure.describe(NOTEBOOK)))
    parameters = described["parameters"]
    assert parameters["total"] == sum(part["count"] for part in parameters["parts"]) == 17_932
    assert parameters["breakdown"] == NOTEBOOK_SUM
    assert parameters["parts"][0] == {"name": "embed.weight", "shape": [12, 32], "symbols": "vocab_size * d_model",
                                      "formula": "12 * 32", "count": 384}
    assert ModelConfig(**described["config"]) == NOTEBOOK
    assert described["memory_bytes"] == {"weights": 71_728, "kv_cache": 2 * 2 * 32 * 64 * 4}
    flops = described["flops_per_token"]
    assert flops["training"] == 3 * flops["forward"] == 3 * structure.flops_per_token(NOTEBOOK, 64)


DRAWN = """\
TinyLM                                      17,932  = 12*32 + 2*(4*33*32 + 33*64 + 65*32 + 2*32 + 2*32) + 2*32 + 33*12
├─ embed            (12, 32)                   384
├─ layers           2 × 8,544               17,088  each layer; post-norm
│  ├─ norm1         (32) + (32)                 64  layernorm
│  ├─ attn                                   4,224  2 heads of 16, causal
│  │  ├─ q_proj     (32, 32) + (32)          1,056
│  │  ├─ k_proj     (32, 32) + (32)          1,056
│  │  ├─ v_proj     (32, 32) + (32)          1,056
│  │  └─ o_proj     (32, 32) + (32)          1,056
│  ├─ norm2         (32) + (32)                 64  layernorm
│  └─ mlp                                    4,192  relu
│     ├─ up_proj    (64, 32) + (64)          2,112
│     └─ down_proj  (32, 64) + (32)          2,080
├─ ln_f             (32) + (32)                 64  layernorm
└─ out_head         (12, 32) + (12)            396"""


def test_the_drawing_of_the_notebook():
    assert structure.draw(NOTEBOOK) == DRAWN


def test_the_drawing_says_what_the_names_do_not():
    config = ModelConfig.preset("qwen3", vocab_size=1000, n_kv_heads=2, causal=False)
    lines = {line.strip("│├└─ ").split()[0]: line for line in structure.draw(config).splitlines()}
    assert lines["positions"].endswith("0  rotary")
    assert lines["attn"].endswith("4 heads of 32, not causal, 2 for keys and values")
    assert lines["q_norm"].endswith("(32)                    32")
    assert lines["out_head"].endswith("0  is embed.weight")
    assert "layers" not in structure.draw(ModelConfig(vocab_size=5, n_layers=0))


def test_each_size_holds_what_its_name_says_inside_its_layers():
    for name in SIZES:
        config = ModelConfig(vocab_size=50, **size(name)["model"])
        table = structure.parameter_table(config)
        inside = sum(tensor.count for tensor in table if tensor.name.startswith("layers."))
        assert inside == pytest.approx(float(name.removesuffix("M")) * 1e6, rel=0.2), name


def test_nothing_here_imports_torch():
    program = "import sys, tinylm.inspection.structure, tinylm.evaluation.baselines; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
