"""Frozen parameters: they neither move nor are remembered, and everything else trains as if autograd said so."""

import numpy as np
import pytest
import torch

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.transformer import TinyLM
from tinylm.training.backend import REFERENCE, Compute, TrainingBackend
from tinylm.training.optimizer import make_optimizers, optimizer_state, parameter_groups, trained_parameters
from tinylm.training.step import train_step

pytestmark = pytest.mark.usefixtures("one_thread")

FAST = Compute(torch.device("cpu"), torch.float32, ThreadPool(2), fast=True)
BF16 = Compute(torch.device("cpu"), torch.bfloat16, ThreadPool(), fast=True)
FROZEN = {
    "embedding": ("embed.weight",),
    "head": ("out_head.weight",),
    "query alone": ("layers.0.attn.q_proj.weight",),
    "a layer": ("layers.0.",),
    "a norm": ("layers.1.norm1.weight", "ln_f.weight"),
    "all matrices of a kind": ("layers.0.attn.o_proj.", "layers.1.attn.o_proj.", "layers.1.mlp.up_proj."),
    "all but a norm": ("embed.", "out_head.", "layers.", ),
}


def model_with(frozen, **values):
    shape = {"vocab_size": 23, "d_model": 16, "n_layers": 2, "n_heads": 2, "context_length": 12}
    model = TinyLM(ModelConfig(**{**shape, **values}), 1)
    with torch.no_grad():
        for parameter in model.parameters():  # some begin as zeros, and would let no gradient through
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.ndim)))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.startswith(frozen)
    return model


def batch(seed=0):
    ids = np.random.default_rng(seed).integers(3, 23, (6, 13))
    return ids[:, :-1], ids[:, 1:]


@pytest.mark.parametrize("frozen", FROZEN.values(), ids=FROZEN)
@pytest.mark.parametrize("compute", [FAST, BF16], ids=["float32", "bfloat16"])
def test_gradients_on_the_cpu_path_are_autograds(frozen, compute):
    ours, theirs = model_with(frozen), model_with(frozen)
    TrainingBackend(ours, compute).backward([batch()], n_targets=72, dropout_seed=0)
    TrainingBackend(theirs, REFERENCE).backward([batch()], n_targets=72, dropout_seed=0)
    off = 1e-4 if compute is FAST else 0.05
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None) == name.startswith(frozen), name
        if a.grad is not None:
            assert (a.grad - b.grad).norm() <= off * b.grad.norm(), name


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_a_frozen_embedding_stays_and_everything_else_moves_as_by_autograd(optimizer, tied):
    def trained(compute):
        model = model_with(("embed.weight",), tied_embeddings=tied)
        config = TrainConfig(steps=4, optimizer=optimizer, weight_decay=0.5)
        optimizers = make_optimizers(model, config, compute)
        backend = TrainingBackend(model, compute)
        results = [train_step(model, optimizers, [batch(step), batch(step + 9)], grad_clip=0.1, backend=backend)
                   for step in range(4)]
        return model, optimizers, results

    before = {name: parameter.detach().clone() for name, parameter in model_with((), tied_embeddings=tied)
              .named_parameters()}
    ours, optimizers, results = trained(FAST)
    theirs, _, expected = trained(REFERENCE)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, before[name]) == (name == "embed.weight"), name
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-3)
    assert [result.gradient_norm for result in results] == pytest.approx([result.gradient_norm for result in expected],
                                                                        rel=1e-3)
    assert len(results[0].gradient_norms) == len(before) - 1
    assert not any(name.endswith(".embed.weight") for name in optimizer_state(ours, optimizers))


def test_groups_cover_what_is_trained_and_nothing_else():
    model = model_with(("layers.0.", "ln_f."))
    grouped = [id(parameter) for group in parameter_groups(model).values() for parameter in group]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert list(trained_parameters(model)) == [name for name, _ in model.named_parameters()
                                               if not name.startswith(("layers.0.", "ln_f."))]
