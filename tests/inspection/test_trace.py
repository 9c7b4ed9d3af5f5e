"""Trace of one forward pass by name, and the prediction of each layer."""

from __future__ import annotations

import pytest
import torch

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.trace import logit_lens, trace
from tinylm.model.transformer import TinyLM

IDS = [1, 4, 2, 0]


@pytest.fixture
def model():
    return TinyLM(ModelConfig(vocab_size=5, d_model=16, n_layers=2, n_heads=2, dropout=0.5, init="torch"))


def test_every_activation_by_name(model):
    activations = trace(model, IDS)
    assert list(activations)[:2] == ["embed", "layers.0.resid_pre"]
    assert list(activations)[-2:] == ["ln_f", "logits"]
    assert activations["layers.1.attn.pattern"].shape == (1, 2, 4, 4)
    assert len(activations) == 1 + 2 * 13 + 2
    assert not any(activation.requires_grad for activation in activations.values())


def test_a_list_is_a_batch_of_one(model):
    as_list, as_batch = trace(model, IDS), trace(model, torch.tensor([IDS, IDS]))
    assert as_batch["logits"].shape == (2, 4, 5)
    torch.testing.assert_close(as_batch["logits"][1:], as_list["logits"])


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_dropped_and_the_mode_comes_back(model, training):
    model.train(training)
    assert torch.equal(trace(model, IDS)["logits"], trace(model, IDS)["logits"])
    assert model.training is model.layers[0].dropout.training is training
    assert not model.taps.hooks


def test_the_mode_comes_back_after_an_error(model):
    model.train()
    model.layers[1].forward = None
    with pytest.raises(TypeError):
        trace(model, IDS)
    assert model.training
    assert not model.taps.hooks


@pytest.mark.parametrize("ids", [[], [1, 5], [-1]])
def test_ids_that_cannot_be_followed(model, ids):
    with pytest.raises(TinyLMError, match="ids"):
        trace(model, ids)


def test_the_last_layers_prediction_is_the_models(model):
    activations = trace(model, IDS)
    predicted = logit_lens(model, activations)
    assert list(predicted) == ["layers.0.resid_pre", "layers.0.resid_post", "layers.1.resid_post"]
    torch.testing.assert_close(predicted["layers.1.resid_post"], activations["logits"])
    assert (predicted["layers.0.resid_post"] - activations["logits"]).abs().max() > 0.01
    torch.testing.assert_close(predicted["layers.0.resid_pre"], model.out_head(model.ln_f(activations["embed"])))


def test_without_layers_there_is_the_prediction_alone():
    flat = TinyLM(ModelConfig(vocab_size=5, d_model=16, n_layers=0, n_heads=2))
    activations = trace(flat, IDS)
    assert list(logit_lens(flat, activations)) == ["logits"]
