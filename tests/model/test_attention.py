"""Attention's two paths compute the same: written out (under a hook) and fused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.config.schema import ModelConfig
from tinylm.model.kv_cache import KVCache
from tinylm.model.taps import hooked
from tinylm.model.transformer import Attention, attention_scores, causal_mask, weighted_sum

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def paths_taken():
    """Counts the calls of each path, so that no test compares one path with itself."""
    taken = {"_attend_explicitly": 0, "_attend_fused": 0}

    def counted(name):
        method = getattr(Attention, name)

        def call(self, *tensors):
            taken[name] += 1
            return method(self, *tensors)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in taken:
            patch.setattr(Attention, name, counted(name))
        yield taken


def written_out(model, *arguments):
    with hooked(model, lambda _, activation: activation):
        return model(*arguments)


def gradients_of(model, logits):
    model.zero_grad()
    # Weighted so that no symmetry of the sum hides a wrong gradient.
    (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum().backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def assert_close(fused, explicit):
    torch.testing.assert_close(fused, explicit, rtol=TOLERANCE, atol=TOLERANCE)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(config=st.from_type(ModelConfig), length=st.integers(1, 4))
def test_outputs_and_gradients_are_equal(make_model, make_ids, paths_taken, config, length):
    model, ids, before = make_model(config), make_ids(config, 2, length), dict(paths_taken)
    fused, explicit = model(ids), written_out(model, ids)
    assert_close(fused, explicit)
    assert_close(gradients_of(model, fused), gradients_of(model, explicit))
    assert all(paths_taken[name] - before[name] == config.n_layers for name in before)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(config=st.from_type(ModelConfig), first=st.integers(1, 3))
def test_they_are_equal_with_a_cache(make_model, make_ids, config, first):
    model, ids = make_model(config), make_ids(config, 2, 4)
    caches = [KVCache(config, 2, 4) for _ in range(2)]
    with torch.no_grad():
        for piece in (ids[:, :first], ids[:, first:]):
            assert_close(model(piece, caches[0]), written_out(model, piece, caches[1]))
    for one, other in zip(caches[0].layers, caches[1].layers, strict=True):
        assert_close((one.keys, one.values), (other.keys, other.values))


def test_the_mask_ends_at_the_last_key():
    assert causal_mask(3, 3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True, True, True, True]]
    assert causal_mask(1, 3).tolist() == [[True, True, True]]


def test_scores_and_mix_by_hand():
    q = torch.tensor([[[[2.0, 0.0, 0.0, 0.0]]]])
    k = torch.tensor([[[[3.0, 9.0, 9.0, 9.0], [-1.0, 0.0, 0.0, 0.0]]]])
    scores = attention_scores(q, k, None)
    assert scores.tolist() == [[[[3.0, -1.0]]]]  # divided by the root of four
    assert attention_scores(q, k, torch.tensor([[True, False]])).tolist() == [[[[3.0, -torch.inf]]]]
    assert weighted_sum(torch.tensor([[[[0.25, 0.75]]]]), k)[0, 0, 0].tolist() == [0.0, 2.25, 2.25, 2.25]


def test_grouped_heads_serve_their_neighbours(make_model, make_ids):
    """Query heads 0 and 1 read key/value head 0, and 2 and 3 read head 1, as in Llama's files."""
    config = ModelConfig(vocab_size=5, d_model=16, n_layers=1, n_heads=4, n_kv_heads=2)
    model, ids, kept = make_model(config), make_ids(config, 1, 1), {}

    def record(name, activation):
        kept[name] = activation
        return activation

    with torch.no_grad(), hooked(model, record):
        model(ids)
    z, v = kept["layers.0.attn.z"], kept["layers.0.attn.v"]  # alone, a position takes all of its own value
    assert_close(z, v[:, [0, 0, 1, 1]])
