"""The filters against transformers' own, and draws against the distribution they leave."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tinylm.config import SampleConfig
from tinylm.generation.logits import choose, filter_logits, keep_top_k, keep_top_p, probabilities

IDS = [3, 5, 5, 7]


def theirs(logits, config):
    scores = logits[None]
    chain = [RepetitionPenaltyLogitsProcessor(config.repetition_penalty), TemperatureLogitsWarper(config.temperature)]
    if config.top_k:
        chain.append(TopKLogitsWarper(config.top_k))
    if config.top_p < 1:
        chain.append(TopPLogitsWarper(config.top_p))
    if config.min_p:
        chain.append(MinPLogitsWarper(config.min_p))
    for processor in chain:
        scores = processor(torch.tensor([IDS]), scores)
    return scores[0].softmax(-1)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(seed=st.integers(0, 10**6), temperature=st.sampled_from([0.3, 1.0, 1.7]), top_k=st.sampled_from([0, 1, 4, 40]),
       top_p=st.sampled_from([0.1, 0.5, 0.95, 1.0]), min_p=st.sampled_from([0.0, 0.05, 0.5]),
       penalty=st.sampled_from([1.0, 1.3, 0.8]))
def test_filters_leave_the_distribution_that_transformers_leave(seed, temperature, top_k, top_p, min_p, penalty):
    logits = 3 * torch.randn(32, generator=torch.Generator().manual_seed(seed))
    config = SampleConfig(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=penalty)
    ours = probabilities(filter_logits(logits.numpy(), config, IDS))
    torch.testing.assert_close(torch.tensor(ours).float(), theirs(logits, config))


def test_draws_follow_the_distribution():
    """Chi-squared over 20,000 draws, 9 degrees of freedom: above 33.7 in one of ten thousand honest cases."""
    logits = np.linspace(-1, 1.5, 10, dtype=np.float32)
    generator = np.random.default_rng(0)
    config = SampleConfig(temperature=1.3)
    draws = [choose(logits, config, [], generator) for _ in range(20_000)]
    expected = 20_000 * probabilities(logits / np.float32(1.3))
    seen = np.bincount(draws, minlength=10)
    assert ((seen - expected) ** 2 / expected).sum() < 33.7


def test_greedy_takes_the_most_likely():
    assert choose(np.float32([0.1, 2.0, 1.0]), SampleConfig(greedy=True), [], np.random.default_rng()) == 1


def test_top_k_keeps_ties():
    assert np.isfinite(keep_top_k(np.float32([1.0, 2.0, 2.0, 0.0]), 1)).tolist() == [False, True, True, False]


def test_top_p_always_keeps_one():
    kept = keep_top_p(np.float32([5.0, 0.0, 0.0]), 1e-9)
    assert np.isfinite(kept).tolist() == [True, False, False]
    assert kept[1] == -math.inf


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_draws_the_same(seed):
    logits = np.zeros(50, np.float32)
    draws = [[choose(logits, SampleConfig(), [], g) for _ in range(20)]
             for g in (np.random.default_rng(seed), np.random.default_rng(seed))]
    assert draws[0] == draws[1]
