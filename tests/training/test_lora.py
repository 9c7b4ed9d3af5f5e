"""Low-rank additions: their gradients are those that autograd finds through W0 + scale B A, on every path."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call

from tests.training.test_frozen import BF16, FAST, batch
from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.model.lora import LoRA, additions_of, merged
from tinylm.model.tensors import weights_of
from tinylm.model.transformer import TinyLM
from tinylm.model_folder import make_model
from tinylm.training.backend import REFERENCE
from tinylm.training.diagnostics.nonfinite import locate_nonfinite
from tinylm.training.lora import LoRABackend, trained_module
from tinylm.training.loss import total_loss
from tinylm.training.optimizer import make_optimizers, parameter_groups
from tinylm.training.step import train_step

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = {"vocab_size": 23, "d_model": 16, "n_layers": 2, "n_heads": 2, "context_length": 12}
KINDS = {"default": {}, "GQA and no gate": {"n_kv_heads": 1, "mlp": "relu"}, "tied": {"tied_embeddings": True}}


def loud(rank: int = 3, **values: object) -> tuple[LoRA, dict[str, np.ndarray]]:
    """Additions to a model whose every matrix is far from zero; and the weights of their base."""
    model, random = TinyLM(ModelConfig(**{**SHAPE, **values})), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    base = {name: array.copy() for name, array in weights_of(model).items()}
    lora = LoRA(model, base, rank, seed=0)
    with torch.no_grad():
        for name, parameter in lora.named_parameters():
            if name.endswith(".b"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return lora, base


def by_autograd(lora: LoRA, base: dict[str, np.ndarray], inputs: np.ndarray,
                targets: np.ndarray) -> dict[str, torch.Tensor]:
    """The gradients of A and B by PyTorch alone, through the product and the sum."""
    parts = {name: parameter.detach().clone().requires_grad_() for name, parameter in lora.named_parameters()}
    weights = {name: torch.from_numpy(array) for name, array in base.items()}
    for name in parts:
        if name.endswith(".b"):
            path = name.removesuffix(".b")
            weights[f"{path}.weight"] = weights[f"{path}.weight"] + lora.scale * parts[name] @ parts[f"{path}.a"]
    logits = functional_call(lora.model, weights, (torch.from_numpy(inputs),), tie_weights=True)
    (total_loss(logits, torch.from_numpy(targets)) / 72).backward()
    return {name: part.grad for name, part in parts.items() if part.grad is not None}


@pytest.mark.parametrize("compute", [REFERENCE, FAST, BF16], ids=["autograd", "float32", "bfloat16"])
@pytest.mark.parametrize("values", KINDS.values(), ids=KINDS)
def test_gradients_are_those_of_autograd(values, compute):
    lora, base = loud(**values)
    expected = by_autograd(lora, base, *batch())
    LoRABackend(lora, compute).backward([batch()], n_targets=72, dropout_seed=0)
    off = 0.08 if compute is BF16 else 1e-4
    assert expected.keys() == dict(lora.named_parameters()).keys()
    for name, parameter in lora.named_parameters():
        assert (parameter.grad - expected[name]).norm() <= off * expected[name].norm(), name


@pytest.mark.parametrize("compute", [REFERENCE, FAST], ids=["autograd", "float32"])
def test_gradients_of_several_batches_add_up_and_the_model_keeps_none(compute):
    one, two, both = loud()[0], loud()[0], loud()[0]
    for lora, seeds in ((one, [1]), (two, [2]), (both, [1, 2])):
        backend = LoRABackend(lora, compute)
        backend.backward([batch(seed) for seed in seeds], n_targets=72, dropout_seed=0)
        assert all(parameter.grad is None for parameter in lora.model.parameters())
    for (name, a), b, c in zip(one.named_parameters(), two.parameters(), both.parameters(), strict=True):
        assert torch.allclose(a.grad + b.grad, c.grad, atol=1e-6), name


def test_it_begins_as_the_base_and_changes_the_matrices_in_the_layers_alone():
    _, base = loud()
    model = make_model(ModelConfig(**SHAPE), base)
    whole, by_all = trained_module(make_model(ModelConfig(**SHAPE), base), None, 0, 0, FAST)
    lora, backend = trained_module(model, base, 2, 0, FAST)
    assert backend.loss(*batch()) == by_all.loss(*batch())
    assert isinstance(whole, TinyLM)
    optimizers = make_optimizers(lora, TrainConfig(steps=9), FAST)
    losses = [train_step(lora, optimizers, [batch()], backend=backend).loss for _ in range(9)]
    backend.write_weights()
    assert losses[-1] < losses[0]
    changed = {name for name, array in weights_of(model).items() if not np.array_equal(array, base[name])}
    assert changed == {name for name in base if name.startswith("layers.") and "norm" not in name}
    for name in changed:
        assert np.linalg.matrix_rank(weights_of(model)[name] - base[name], tol=1e-5) <= 2, name


def test_the_written_weights_are_those_that_merging_gives():
    lora, base = loud(rank=4)
    lora.write_weights()
    whole = merged(base, additions_of(dict(lora.named_parameters()), 4))
    for name, array in weights_of(lora.model).items():
        assert np.array_equal(array, whole[name]), name


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_every_optimizer_trains_each_addition_once(optimizer):
    lora, _ = loud()
    groups = parameter_groups(lora)
    assert not groups["embeddings"]
    assert not groups["vectors"]
    optimizers = make_optimizers(lora, TrainConfig(steps=2, optimizer=optimizer))
    held = [parameter for each in optimizers for group in each.param_groups for parameter in group["params"]]
    assert sorted(map(id, held)) == sorted(map(id, lora.parameters()))


def test_a_number_that_is_not_finite_is_found_in_the_model_and_in_the_additions():
    lora, _ = loud()
    with torch.no_grad():
        lora.model.ln_f.weight[0] = np.inf
    assert locate_nonfinite(lora, [], [batch()], []) == "the activations ln_f"
    with torch.no_grad():
        lora.layers[1].mlp.up_proj.a[0, 0] = np.nan
    assert locate_nonfinite(lora, [], [batch()], []) == "the weights layers.1.mlp.up_proj.a"
    broken = [0.0] * 27 + [np.inf]
    assert "the gradient of layers.1.mlp" in locate_nonfinite(loud()[0], [], [batch()], broken)
