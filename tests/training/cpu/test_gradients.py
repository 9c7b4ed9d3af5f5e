"""The fast path against the reference: autograd on the model that is to be read, in 32 and in 16 bits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.taps import capture
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import IGNORE, Batch
from tinylm.training import backend
from tinylm.training.backend import Compute, TrainingBackend, choose_compute, has_fast_path
from tinylm.training.cpu import activations, attention, gradients, kernels
from tinylm.training.cpu.gradients import CpuLoss
from tinylm.training.cpu.network import ATTN_OUT, MLP_OUT, MLP_POST, PATTERN, activation_bytes
from tinylm.training.loss import total_loss
from tinylm.training.optimizer import make_optimizers
from tinylm.training.step import train_step

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = {"vocab_size": 50, "context_length": 24, "d_model": 32, "n_layers": 2, "n_heads": 4}
FAMILY = {
    "the default": {}, "grouped queries, squared relu": {"n_kv_heads": 2, "mlp": "squared_relu"},
    "no norms of heads, gelu": {"qk_norm": False, "mlp": "gelu"},
    "no positions, relu": {"positions": "none", "mlp": "relu"}, "no layers": {"n_layers": 0},
    "tied embeddings": {"tied_embeddings": True}, "one wide head": {"n_heads": 1},
    "wide heads": {"d_head": 12}, "narrow heads, grouped queries": {"d_head": 4, "n_kv_heads": 2, "qk_norm": False},
    "odd widths": {"d_model": 30, "n_heads": 5, "d_mlp": 37},
}


def make(seed=0, **changed) -> TinyLM:
    """A model with weights of every part far from zero and from one another."""
    model = TinyLM(ModelConfig(**{**SHAPE, **changed}))
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        spread = 0.3 if parameter.ndim > 1 else 0.1
        parameter.data = torch.randn(parameter.shape, generator=generator) * spread + (parameter.ndim == 1)
    return model


def batch(model: TinyLM, rows=5, length=24, seed=0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    inputs, targets = torch.randint(3, model.config.vocab_size, (2, rows, length), generator=generator)
    targets[0, length // 2:] = IGNORE
    return inputs.numpy(), targets.numpy()


def fast(dtype=torch.float32, cores=2) -> Compute:
    return Compute(torch.device("cpu"), dtype, ThreadPool(cores), fast=True)


def gradients_of(model: TinyLM, compute: Compute, *batches, n_targets=100, seed=0) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    path = TrainingBackend(model, compute)
    nats = path.backward(batches, n_targets, seed).item()
    return nats, {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest, over all parameters, of the distance in terms of the length."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).norm() / other[name].norm().clamp_min(1e-12)) for name in one)


# ---- the same gradients


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("changed", FAMILY.values(), ids=FAMILY)
def test_gradients_are_autograds(changed, cores):
    model = make(**changed)
    assert has_fast_path(model.config)
    nats, ours = gradients_of(model, fast(cores=cores), batch(model))
    expected, theirs = gradients_of(model, backend.REFERENCE, batch(model))
    assert nats == pytest.approx(expected, rel=1e-6)
    assert distance(ours, theirs) < 1e-5


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_gradients_are_autograds_for_every_shape(data):
    heads, d_head = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([2, 4, 6, 16, 20]))
    shape = {"n_heads": heads, "d_model": heads * d_head, "n_layers": data.draw(st.integers(1, 3)),
             "d_head": data.draw(st.sampled_from([d_head, 2, 8, 18])),
             "n_kv_heads": data.draw(st.sampled_from([g for g in range(1, heads + 1) if heads % g == 0])),
             "mlp": data.draw(st.sampled_from(["relu", "gelu", "squared_relu", "swiglu"])),
             "d_mlp": data.draw(st.integers(1, 70)), "qk_norm": data.draw(st.booleans()),
             "positions": data.draw(st.sampled_from(["none", "rotary"])), "vocab_size": data.draw(st.integers(4, 80))}
    model = make(**shape)
    rows = batch(model, rows=data.draw(st.integers(1, 5)), length=data.draw(st.integers(2, 24)))
    compute = fast(cores=data.draw(st.integers(1, 3)))
    nats, ours = gradients_of(model, compute, rows)
    expected, theirs = gradients_of(model, backend.REFERENCE, rows)
    assert nats == pytest.approx(expected, rel=1e-5)
    scale = max(gradient.norm() for gradient in theirs.values())
    assert max((ours[name] - theirs[name]).norm() for name in ours) < 1e-4 * scale


@pytest.mark.parametrize("changed", FAMILY.values(), ids=FAMILY)
def test_in_16_bits_they_are_as_near_as_torchs_own_16_bits(changed):
    model = make(**changed)
    rows = batch(model, rows=8)
    _, exact = gradients_of(model, backend.REFERENCE, rows)
    _, ours = gradients_of(model, fast(torch.bfloat16), rows)
    _, torchs = gradients_of(model, Compute(torch.device("cpu"), torch.bfloat16, ThreadPool(), fast=False), rows)
    for name, gradient in exact.items():
        off, allowed = (ours[name] - gradient).norm(), (torchs[name] - gradient).norm()
        assert off <= 2 * allowed + 0.01 * gradient.norm(), name


def test_rows_taken_a_few_at_a_time_give_the_same(monkeypatch):
    model = make()
    _, at_once = gradients_of(model, fast(), batch(model, rows=9))
    monkeypatch.setattr(gradients, "MAX_TOKENS", 50)  # two rows of 24
    _, in_pieces = gradients_of(model, fast(), batch(model, rows=9))
    assert distance(in_pieces, at_once) < 1e-5


@pytest.mark.parametrize("changed", [{}, {"n_kv_heads": 2}, {"d_model": 20, "n_heads": 2}], ids=str)
def test_rows_longer_than_a_block_of_attention(changed):
    model = make(context_length=150, **changed)
    assert model.config.context_length > 2 * attention.QUERY_BLOCK
    nats, ours = gradients_of(model, fast(), batch(model, rows=2, length=150))
    expected, theirs = gradients_of(model, backend.REFERENCE, batch(model, rows=2, length=150))
    assert nats == pytest.approx(expected, rel=1e-6)
    assert distance(ours, theirs) < 1e-5


def test_batches_add_up():
    model = make()
    rows = [batch(model, seed=seed) for seed in (1, 2)]
    _, ours = gradients_of(model, fast(), *rows)
    _, theirs = gradients_of(model, backend.REFERENCE, *rows)
    assert distance(ours, theirs) < 1e-5


def test_batches_of_other_shapes_may_follow():
    model = make()
    path = TrainingBackend(model, fast())
    for rows, length in ((2, 5), (7, 24), (1, 3), (2, 5)):
        model.zero_grad()
        path.backward([batch(model, rows, length)], 10, 0)
        ours = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        theirs = gradients_of(model, backend.REFERENCE, batch(model, rows, length), n_targets=10)[1]
        scale = max(gradient.norm() for gradient in theirs.values())
        assert max((ours[name] - theirs[name]).norm() for name in ours) < 1e-5 * scale


def test_room_grows_to_the_largest_batch_and_no_further():
    model = make()
    judge = CpuLoss(model, ThreadPool())
    for length in (*range(1, 25), 5, 24):
        inputs, targets = batch(model, 2, length)
        assert judge(inputs, targets) == pytest.approx(total_loss(model(torch.from_numpy(inputs)),
                                                                  torch.from_numpy(targets)).item(), rel=1e-6)
    [network] = judge._networks
    largest = CpuLoss(model, ThreadPool())
    largest(*batch(model, 2, 24))
    assert network._pool.n_bytes == largest._networks[0]._pool.n_bytes
    assert network._pool.n_bytes == activation_bytes(model.config, 2, 24, torch.float32, backward=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_is_counted_to_the_byte(dtype):
    model = make(dropout=0.1)
    path = TrainingBackend(model, fast(dtype, cores=1))
    path.backward([batch(model, 3, 24)], 10, 0)
    made = path._fast._networks[0]._pool.n_bytes
    assert made == activation_bytes(model.config, 3, 24, dtype, backward=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_bytes_every_time(dtype):
    model = make(dropout=0.2)
    runs = [gradients_of(model, fast(dtype), batch(model, rows=8)) for _ in range(3)]
    for nats, found in runs[1:]:
        assert nats == runs[0][0]
        assert all(torch.equal(found[name], runs[0][1][name]) for name in found)


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_there_are_no_more_buffers_than_cores_with_rows(rows):
    model = make()
    path = TrainingBackend(model, fast(cores=16))
    nats = path.backward([batch(model, rows)], 100, 0).item()
    ours = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    assert len(path._fast._sums) == min(rows, 16)
    expected, theirs = gradients_of(model, backend.REFERENCE, batch(model, rows))
    assert nats == pytest.approx(expected, rel=1e-6)
    assert distance(ours, theirs) < 1e-5


def test_a_large_model_has_as_many_buffers_as_memory_holds(monkeypatch):
    """And the forecast of memory says the same."""
    model = make()
    count = sum(parameter.numel() for parameter in model.parameters())
    monkeypatch.setattr(gradients, "total_memory_bytes", lambda: round(3.5 * 4 * count / gradients.MAX_MEMORY_SHARE))
    path = TrainingBackend(model, fast(cores=8))
    path.backward([batch(model, rows=8)], 100, 0)
    assert len(path._fast._sums) == 3
    capped = gradients.working_bytes(model.config, 8, 8, torch.float32, 8)
    monkeypatch.undo()
    assert gradients.working_bytes(model.config, 8, 8, torch.float32, 8) > capped + 4 * 4 * count


def test_memory_does_not_grow_with_cores_that_have_no_row():
    few, many = (gradients.working_bytes(make().config, 4, 4, torch.bfloat16, cores) for cores in (4, 64))
    assert few == many


def test_weights_that_change_are_followed():
    model = make()
    path = TrainingBackend(model, fast())
    path.backward([batch(model)], 100, 0)
    for parameter in model.parameters():
        parameter.data *= 1.1
    model.zero_grad()
    path.backward([batch(model)], 100, 0)
    ours = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    assert distance(ours, gradients_of(model, backend.REFERENCE, batch(model))[1]) < 1e-5


# ---- dropout


def falls(key: int, shape: tuple[int, ...], rate: float) -> Tensor:
    """The factors of a dropout, by the same rule in NumPy."""
    index = np.arange(np.prod(shape), dtype=np.uint32)
    with np.errstate(over="ignore"):
        value = index * np.uint32(0x9E3779B1) ^ np.uint32(key)
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            value = (value ^ value >> np.uint32(shift)) * np.uint32(factor)
        value ^= value >> np.uint32(16)
    kept = value >= np.uint32(rate * 2**32)
    return torch.from_numpy(kept.astype(np.float32) / np.float32(1 - rate)).view(shape)


class Falling(nn.Module):
    """In the place of nn.Dropout: the given factors, in turn."""

    p = 0.0

    def __init__(self, *factors: Tensor) -> None:
        super().__init__()
        self.factors = itertools.cycle(factors)

    def forward(self, x: Tensor) -> Tensor:
        return x * next(self.factors)


@pytest.mark.parametrize("length", [24, 90])
def test_dropout_sits_where_the_reference_has_it(length):
    model, rate, seed, rows = make(dropout=0.3, context_length=length), 0.3, 7, 4
    config = model.config
    _, ours = gradients_of(model, fast(cores=2), batch(model, rows, length), seed=seed)
    keys = np.random.SeedSequence(seed).generate_state(4 * config.n_layers).reshape(config.n_layers, 4)
    for layer, key in zip(model.layers, keys, strict=True):
        pattern, stream = (rows, config.n_heads, length, length), (rows, length, config.d_model)
        layer.attn.dropout = Falling(falls(key[PATTERN], pattern, rate))
        layer.mlp.dropout = Falling(falls(key[MLP_POST], (rows, length, config.d_mlp), rate))
        layer.dropout = Falling(falls(key[ATTN_OUT], stream, rate), falls(key[MLP_OUT], stream, rate))
    with capture(model, ()):  # so the pattern is written out, and falls
        _, theirs = gradients_of(model, backend.REFERENCE, batch(model, rows, length))
    assert distance(ours, theirs) < 1e-5


def test_the_share_that_falls_and_nothing_of_it_is_shared_by_places():
    x = np.ones(200_000, np.float32)
    masks = []
    for key in (1, 2, 3):
        y = x.copy()
        kernels.apply_dropout(y, 0.25, key, 0)
        masks.append(y > 0)
        assert y.mean() == pytest.approx(1.0, abs=0.01)
        assert masks[-1].mean() == pytest.approx(0.75, abs=0.005)
    for one, other in itertools.combinations(masks, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.01
    assert abs(np.corrcoef(masks[0][:-1], masks[0][1:])[0, 1]) < 0.01
    again = x[:100].copy()
    kernels.apply_dropout(again, 0.25, 1, 50)
    assert np.array_equal(again[:50] > 0, masks[0][50:100])


def test_how_many_cores_there_are_does_not_change_what_falls():
    model = make(dropout=0.3)
    _, one = gradients_of(model, fast(cores=1), batch(model, rows=7))
    _, three = gradients_of(model, fast(cores=3), batch(model, rows=7))
    assert distance(three, one) < 1e-5


# ---- the loss of what is judged


@pytest.mark.parametrize("changed", FAMILY.values(), ids=FAMILY)
def test_the_loss_of_judged_rows_is_the_references(changed):
    model = make(**changed)
    inputs, targets = batch(model, rows=7)
    expected = total_loss(model(torch.from_numpy(inputs)), torch.from_numpy(targets)).item()
    assert CpuLoss(model, ThreadPool(2))(inputs, targets) == pytest.approx(expected, rel=1e-6)


# ---- numbers


def test_exp_is_within_five_parts_in_ten_million():
    x = np.linspace(-87, 0, 100_001, dtype=np.float32)
    logits = np.stack([np.zeros_like(x), x], axis=1)
    kernels.cross_entropy(logits, np.zeros(len(x), np.int64), IGNORE, np.float32(1), np.empty(2, np.float32))
    exact = np.exp(x.astype(np.float64))
    assert np.allclose(logits[:, 1], exact / (1 + exact), rtol=5e-7, atol=0)


def test_rounding_to_16_bits_is_torchs():
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    numbers = bits.view(np.float32)
    numbers = np.append(numbers[np.isfinite(numbers)], np.float32([0.0, -0.0, np.inf, -np.inf, 3e38, 1e-40]))
    ours = np.empty((len(numbers), 1), np.uint16)
    activations.relu(numbers.reshape(-1, 1), ours)
    theirs = torch.from_numpy(numbers).clamp_min(0).bfloat16().float().numpy()
    assert np.array_equal((ours.astype(np.uint32) << 16).view(np.float32)[:, 0], theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("where", ["embed.weight", "layers.0.attn.q_proj.weight", "layers.1.mlp.down_proj.weight",
                                   "layers.1.norm2.weight", "out_head.weight"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_never_lost(where, number, dtype):
    """Whatever the kernels do to it, the step is not made."""
    model = make()
    weight = dict(model.named_parameters())[where]
    weight.data.view(-1)[5] = number
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizers = make_optimizers(model, TrainConfig(steps=1))
    inputs, targets = np.arange(48).reshape(2, 24), np.arange(48).reshape(2, 24)
    result = train_step(model, optimizers, [(inputs, targets)], backend=TrainingBackend(model, fast(dtype)))
    assert not result.applied
    assert all(torch.equal(p, before[name]) or name == where for name, p in model.named_parameters())


# ---- when it serves


def test_where_somebody_listens_the_reference_serves():
    model = make()
    path = TrainingBackend(model, fast())
    handle = model.embed.weight.register_hook(lambda gradient: gradient * 0)
    path.backward([batch(model)], 100, 0)
    assert not model.embed.weight.grad.any()
    handle.remove()
    model.zero_grad()
    with capture(model) as heard:
        path.backward([batch(model)], 100, 0)
    assert "layers.1.attn.pattern" in heard


@pytest.mark.parametrize("changed", [
    {"norm": "layernorm"}, {"norm_position": "post"}, {"positions": "learned"}, {"bias": True}, {"head_bias": True},
    {"causal": False}, {"d_model": 12, "n_heads": 4, "positions": "none"},
], ids=str)
def test_shapes_that_it_does_not_know_go_by_the_reference(changed):
    config = ModelConfig(**{**SHAPE, **changed})
    assert not has_fast_path(config)
    compute = choose_compute(config, torch.device("cpu"), flops=1e12)
    assert (compute.fast, compute.dtype) == (False, torch.float32)


def test_small_work_stays_on_one_core():
    assert choose_compute(make().config, torch.device("cpu"), flops=1e6).workers.cores == 1


def test_what_is_asked_for_is_taken():
    config, cpu = make().config, torch.device("cpu")
    assert choose_compute(config, cpu, flops=1.0, precision="float32").dtype == torch.float32
    assert "bfloat16" in str(choose_compute(config, cpu, flops=1.0, precision="bfloat16"))
    notebook = ModelConfig.preset("notebook", vocab_size=12)
    compute = choose_compute(notebook, cpu, flops=1.0, precision="bfloat16")
    seen = []
    model = TinyLM(notebook)
    model.out_head.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    TrainingBackend(model, compute).backward([(np.ones((1, 4), np.int64), np.ones((1, 4), np.int64))], 4, 0)
    assert seen == [torch.bfloat16]
