"""Groups that cover the model, Muon against its definition, optimisers against torch's own."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.transformer import TinyLM
from tinylm.training.backend import Compute
from tinylm.training.optimizer import (
    Muon,
    make_optimizers,
    newton_schulz,
    newton_schulz_cost,
    parameter_groups,
    partition_by_cost,
    scale_learning_rate,
)


def small_model(**values):
    return TinyLM(ModelConfig(vocab_size=11, d_model=16, n_layers=2, n_heads=2, **values))


def test_every_parameter_is_in_exactly_one_group_and_one_optimiser():
    for values in ({}, {"positions": "learned", "bias": True, "norm": "layernorm"}, {"tied_embeddings": True}):
        model = small_model(**values)
        grouped = [id(p) for group in parameter_groups(model).values() for p in group]
        assert sorted(grouped) == sorted(id(p) for p in model.parameters())
        for name in ("adam", "adamw", "muon"):
            optimizers = make_optimizers(model, TrainConfig(steps=1, optimizer=name))
            held = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
            assert sorted(held) == sorted(id(p) for p in model.parameters()), name


def test_norms_and_biases_are_never_decayed():
    model = small_model(bias=True)
    vectors = {id(p) for p in model.parameters() if p.ndim < 2}
    for name in ("adamw", "muon"):
        for optimizer in make_optimizers(model, TrainConfig(steps=1, optimizer=name, weight_decay=0.3)):
            for group in optimizer.param_groups:
                assert group["weight_decay"] == (0.0 if {id(p) for p in group["params"]} & vectors else 0.3)


def test_orthogonalised_matrices_have_singular_values_near_one():
    generator = torch.Generator().manual_seed(0)
    for shape in ((3, 16, 16), (2, 40, 12), (2, 12, 40)):
        values = torch.linalg.svdvals(newton_schulz(torch.randn(shape, generator=generator)))
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_muon_batched_by_shape_equals_muon_one_by_one():
    generator = torch.Generator().manual_seed(1)
    start = [torch.randn(6, 4, generator=generator) for _ in range(3)] + [torch.randn(4, 6, generator=generator)]
    together = [torch.nn.Parameter(p.clone()) for p in start]
    alone = [torch.nn.Parameter(p.clone()) for p in start]
    one = Muon(together, 0.02, weight_decay=0.1)
    many = [Muon([p], 0.02, weight_decay=0.1) for p in alone]
    for step in range(3):
        for a, b in zip(together, alone, strict=True):
            a.grad = torch.randn(a.shape, generator=torch.Generator().manual_seed(step))
            b.grad = a.grad.clone()
        one.step()
        for optimizer in many:
            optimizer.step()
    for a, b, before in zip(together, alone, start, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(a, before)


def test_muon_shared_out_among_cores_equals_muon_on_one():
    moved = []
    for cores in (1, 2, 3):
        compute = Compute(torch.device("cpu"), torch.float32, ThreadPool(cores), fast=True)
        model = small_model()
        [_, muon] = make_optimizers(model, TrainConfig(steps=1), compute)
        generator = torch.Generator().manual_seed(3)
        for _ in range(2):
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            muon.step()
        moved.append([parameter.detach() for parameter in model.parameters()])
    for other in moved[1:]:
        for a, b in zip(moved[0], other, strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    assert any(not torch.equal(a, b.detach()) for a, b in zip(moved[0], small_model().parameters(), strict=True))


@given(shapes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12), cores=st.integers(1, 4))
def test_each_matrix_is_one_cores_and_no_core_has_much_more(shapes, cores):
    matrices = [torch.empty(shape) for shape in shapes]
    shares = partition_by_cost(matrices, cores)
    assert len(shares) == cores
    assert sorted(map(id, matrices)) == sorted(id(matrix) for share in shares for matrix in share)
    work = [sum(newton_schulz_cost(matrix) for matrix in share) for share in shares]
    assert max(work) - min(work) <= max(map(newton_schulz_cost, matrices), default=0)


def test_muon_follows_its_definition():
    gradient = torch.randn(8, 4, generator=torch.Generator().manual_seed(2))
    parameter = torch.nn.Parameter(torch.ones(8, 4))
    parameter.grad = gradient.clone()
    Muon([parameter], 0.1, momentum=0.9, weight_decay=0.5).step()
    momentum = 0.1 * gradient
    ahead = 0.1 * gradient + 0.9 * momentum
    expected = torch.ones(8, 4) * (1 - 0.1 * 0.5) - 0.1 * 2**0.5 * newton_schulz(ahead[None])[0]
    torch.testing.assert_close(parameter.detach(), expected)


def test_the_schedule_scales_each_group_from_its_own_peak():
    optimizers = make_optimizers(small_model(), TrainConfig(steps=1, learning_rate=0.004, muon_learning_rate=0.02))
    scale_learning_rate(optimizers, 0.5)
    scale_learning_rate(optimizers, 0.25)
    assert sorted({g["lr"] for o in optimizers for g in o.param_groups}) == [0.001, 0.005]


def test_adam_is_torch_adam_on_everything():
    ours, theirs = small_model(), small_model()
    config = TrainConfig(steps=1, optimizer="adam", learning_rate=1e-3, beta2=0.999, weight_decay=0.0)
    [optimizer] = make_optimizers(ours, config)
    reference = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    ids = torch.arange(10)[None]
    for model, adam in ((ours, optimizer), (theirs, reference)):
        for _ in range(3):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(model(ids)[0], ids[0]).backward()
            adam.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)
