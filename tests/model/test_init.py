"""The first weights follow the table in model/init.py, from a seed and from nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tinylm.config.presets import PRESETS
from tinylm.config.schema import ModelConfig
from tinylm.model.init import init_weights
from tinylm.model.transformer import TinyLM

WIDE = {"vocab_size": 64, "d_model": 256, "n_layers": 1, "n_heads": 4, "d_mlp": 384, "context_length": 64}


def weights(config, seed=0):
    return TinyLM(config, seed).state_dict()


def assert_normal(tensor, std):
    assert tensor.std().item() == pytest.approx(std, rel=0.03)
    assert abs(tensor.mean().item()) < 0.05 * std
    assert tensor.abs().max() > 2.5 * std  # a uniform distribution ends at 1.73


def assert_uniform(tensor, bound):
    assert tensor.abs().max() <= bound
    assert tensor.abs().max() > 0.97 * bound
    assert tensor.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1 if tensor.dim() == 1 else 0.02)


def test_scaled_follows_its_table():
    config = ModelConfig(**WIDE, mlp="swiglu", positions="learned", norm="layernorm", bias=True, qk_norm=True,
                         head_bias=True)
    first = weights(config)
    for name in ("embed.weight", "positions.weight"):
        assert_normal(first.pop(name), 0.02)
    for name in ("attn.q_proj", "attn.k_proj", "attn.v_proj", "mlp.up_proj", "mlp.gate_proj"):
        assert_normal(first.pop(f"layers.0.{name}.weight"), 0.5 / math.sqrt(256))
    norms = [name for name in first if "norm" in name or name.startswith("ln_f")]
    for name in norms:
        assert (first.pop(name) == (1 if name.endswith("weight") else 0)).all()
    assert len(norms) == 8
    assert {"layers.0.attn.o_proj.weight", "layers.0.mlp.down_proj.weight", "out_head.weight"} < set(first)
    for name, tensor in first.items():
        assert not tensor.any(), name


def test_torch_follows_its_table():
    config = ModelConfig.preset("notebook", **WIDE, positions="learned")
    first = weights(config)
    for name in ("embed.weight", "positions.weight"):
        assert_normal(first.pop(name), 1.0)
    for part in "qkv":
        assert_uniform(first.pop(f"layers.0.attn.{part}_proj.weight"), math.sqrt(6 / (256 + 3 * 256)))
    for name, fan_in in (("layers.0.attn.o_proj", 256), ("layers.0.mlp.up_proj", 256),
                         ("layers.0.mlp.down_proj", 384), ("out_head", 256)):
        assert_uniform(first.pop(f"{name}.weight"), 1 / math.sqrt(fan_in))
        if "attn" not in name:
            bias = first.pop(f"{name}.bias")
            assert bias.abs().max() <= 1 / math.sqrt(fan_in)
            assert bias.std().item() == pytest.approx(1 / math.sqrt(3 * fan_in), rel=0.2)
    for name, tensor in first.items():
        one = name.endswith("weight")  # only norms and attention's biases are left
        assert (tensor == (1 if one else 0)).all(), name


def test_torch_is_what_torchs_modules_do():
    """The table, held against the modules themselves: spread and reach of every parameter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(256, 4, dim_feedforward=384, batch_first=True)
        theirs = {"embed.weight": nn.Embedding(64, 256).weight, "out_head.weight": nn.Linear(256, 64).weight}
    theirs |= {
        "layers.0.attn.k_proj.weight": layer.self_attn.in_proj_weight.chunk(3)[1],
        "layers.0.attn.v_proj.bias": layer.self_attn.in_proj_bias.chunk(3)[2],
        "layers.0.attn.o_proj.weight": layer.self_attn.out_proj.weight,
        "layers.0.attn.o_proj.bias": layer.self_attn.out_proj.bias,
        "layers.0.mlp.up_proj.weight": layer.linear1.weight, "layers.0.mlp.up_proj.bias": layer.linear1.bias,
        "layers.0.mlp.down_proj.weight": layer.linear2.weight, "layers.0.mlp.down_proj.bias": layer.linear2.bias,
        "layers.0.norm2.weight": layer.norm2.weight, "layers.0.norm2.bias": layer.norm2.bias,
    }
    ours = weights(ModelConfig.preset("notebook", **WIDE))
    for name, tensor in theirs.items():
        assert ours[name].std().item() == pytest.approx(tensor.std().item(), rel=0.1), name
        assert ours[name].mean().item() == pytest.approx(tensor.mean().item(), abs=0.01), name
        if name != "embed.weight":  # a normal distribution has no edge
            assert ours[name].abs().max().item() == pytest.approx(tensor.abs().max().item(), rel=0.03), name


@pytest.mark.parametrize("preset", PRESETS)
def test_the_seed_is_all_that_counts(preset):
    config = ModelConfig.preset(preset, **WIDE)
    torch.manual_seed(1)
    once = weights(config, seed=5)
    torch.manual_seed(2)
    again, other = weights(config, seed=5), weights(config, seed=6)
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not torch.equal(once["embed.weight"], other["embed.weight"])


@pytest.mark.parametrize("preset", PRESETS)
def test_torchs_own_random_state_is_left_alone(preset):
    before = torch.get_rng_state()
    TinyLM(ModelConfig.preset(preset, **WIDE))
    assert torch.equal(before, torch.get_rng_state())


def test_all_tokens_begin_equally_likely(make_ids):
    config = ModelConfig.preset("tinylm", **WIDE)
    probs = TinyLM(config)(make_ids(config, 2, 8)).softmax(dim=-1)
    assert torch.equal(probs, torch.full((2, 8, 64), 1 / 64))


def test_a_layer_begins_as_the_identity():
    config = ModelConfig.preset("tinylm", **WIDE)
    x = torch.randn(2, 8, 256, generator=torch.Generator().manual_seed(0))
    model = TinyLM(config)
    assert torch.equal(model.layers[0](x, model.positions.angles(torch.arange(8))), x)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(config=st.from_type(ModelConfig))
def test_every_parameter_of_every_config_is_known(config):
    model = TinyLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    init_weights(model, seed=0)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("init", ["torch", "scaled"])
def test_an_unknown_parameter_is_our_mistake(init):
    model = TinyLM(ModelConfig(vocab_size=3, n_layers=0, init=init))
    model.extra = nn.Linear(2, 2)
    with pytest.raises(AssertionError, match=r"extra\.weight"):
        init_weights(model, seed=0)
