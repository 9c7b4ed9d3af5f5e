"""The filters against transformers' own, draws against the distribution they leave, and what holds of every filter."""

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
    TypicalLogitsWarper,
)

from tinylm.sampling.filters import (
    NOT_FINITE,
    NOTHING_LEFT,
    SamplingParams,
    apply_filters,
    apply_penalties,
    apply_temperature,
    choose,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    keep_typical,
    softmax,
    threshold,
)

V = 32
IDS = [3, 5, 5, 7]
COUNTS = np.bincount(IDS, minlength=V).astype(np.int32)
NO_BIAS, NONE_SEEN = np.zeros(V, np.float32), np.zeros(V, np.int32)
FILTERS = [(keep_top_k, 1), (keep_top_k, 7), (keep_top_p, 1e-9), (keep_top_p, 0.6), (keep_min_p, 0.2),
           (keep_min_p, 0.99), (keep_typical, 1e-9), (keep_typical, 0.6)]
PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
any_logits = st.lists(st.floats(-(2.0**99), 2.0**99, width=32) | st.just(-math.inf) | st.sampled_from([0.0, 1.0, 2.0]),
                      min_size=1, max_size=50).filter(lambda each: max(each) > -math.inf).map(np.float32)


def kept(logits):
    return set(np.flatnonzero(logits > -np.inf).tolist())


def theirs(logits, chosen):
    chain = [RepetitionPenaltyLogitsProcessor(chosen.repetition_penalty), TemperatureLogitsWarper(chosen.temperature)]
    if chosen.top_k:
        chain.append(TopKLogitsWarper(chosen.top_k))
    if chosen.top_p < 1:
        chain.append(TopPLogitsWarper(chosen.top_p))
    if chosen.min_p:
        chain.append(MinPLogitsWarper(chosen.min_p))
    if chosen.typical_p < 1:
        chain.append(TypicalLogitsWarper(chosen.typical_p))
    scores = logits[None]
    for processor in chain:
        scores = processor(torch.tensor([IDS]), scores)
    return scores[0].softmax(-1)


@PROPERTY
@given(seed=st.integers(0, 10**6), temperature=st.sampled_from([0.3, 1.0, 1.7]), top_k=st.sampled_from([0, 1, 4, 40]),
       top_p=st.sampled_from([0.1, 0.5, 0.95, 1.0]), min_p=st.sampled_from([0.0, 0.05, 0.5]),
       typical_p=st.sampled_from([0.2, 0.9, 1.0]), penalty=st.sampled_from([1.0, 1.3, 0.8]))
def test_filters_leave_the_distribution_that_transformers_leave(seed, temperature, top_k, top_p, min_p, typical_p,
                                                                penalty):
    logits = 3 * torch.randn(V, generator=torch.Generator().manual_seed(seed))
    chosen = SamplingParams(penalty, 0.0, 0.0, temperature, top_k, top_p, min_p, typical_p)
    ours = softmax(apply_filters(apply_penalties(logits.numpy(), COUNTS, penalty, 0.0, 0.0), chosen))
    torch.testing.assert_close(torch.from_numpy(ours), theirs(logits, chosen), rtol=1e-4, atol=1e-6)


def test_frequency_is_taken_off_for_each_time_and_presence_once():
    penalised = apply_penalties(np.ones(V, np.float32), COUNTS, 1.0, 0.5, 0.25)
    assert penalised[[2, 3, 5]].tolist() == [1.0, 0.25, -0.25]


@pytest.mark.parametrize("chosen", [SamplingParams(temperature=1.3), SamplingParams(temperature=0.7, top_k=6),
                                    SamplingParams(top_p=0.8), SamplingParams(1.2, 0.3, 0.2, 0.9, 0, 1.0, 0.1, 0.9)])
def test_draws_follow_the_distribution(chosen):
    """Chi-squared over 100,000 draws; its bound is passed in one of ten thousand honest cases (Wilson and Hilferty)."""
    logits = np.linspace(-1, 1.5, V, dtype=np.float32)
    numbers = np.random.default_rng(0).random(100_000)
    draws = [choose(logits, NO_BIAS, COUNTS, chosen, number) for number in numbers]
    expected = 100_000 * softmax(apply_filters(apply_penalties(logits, COUNTS, *chosen[:3]), chosen)).astype(np.float64)
    seen, possible = np.bincount(draws, minlength=V), expected > 0
    free = possible.sum() - 1
    bound = free * (1 - 2 / (9 * free) + 3.719 * math.sqrt(2 / (9 * free))) ** 3
    assert seen[~possible].sum() == 0
    assert ((seen - expected)[possible] ** 2 / expected[possible]).sum() < bound


@pytest.mark.parametrize(("keep", "amount"), FILTERS)
@PROPERTY
@given(logits=any_logits)
def test_every_filter_keeps_the_likelier_leaves_one_and_keeps_what_it_kept_as_it_was(keep, amount, logits):
    before = logits.copy()
    after = keep(logits, amount)
    assert kept(after)
    assert kept(after) <= kept(before)
    assert all(after[id] == before[id] for id in kept(after))
    assert np.array_equal(logits, before)
    if keep is not keep_typical:
        gone = kept(before) - kept(after)
        assert not gone or max(before[list(gone)]) < min(before[list(kept(after))])


@pytest.mark.parametrize(("keep", "amount"), [each for each in FILTERS if each[0] in (keep_top_k, keep_min_p)])
@PROPERTY
@given(logits=any_logits)
def test_filters_by_rank_and_ratio_change_nothing_the_second_time(keep, amount, logits):
    once = keep(logits, amount)
    assert np.array_equal(keep(once, amount), once)


@PROPERTY
@given(logits=any_logits, temperature=st.floats(1e-40, 1e30), top_k=st.integers(0, 60), top_p=st.floats(1e-9, 1),
       min_p=st.floats(0, 0.999), typical_p=st.floats(1e-9, 1))
def test_probabilities_are_finite_and_add_up_to_one(logits, temperature, top_k, top_p, min_p, typical_p):
    probs = softmax(apply_filters(logits, SamplingParams(1.0, 0.0, 0.0, temperature, top_k, top_p, min_p, typical_p)))
    assert np.isfinite(probs).all()
    assert probs.min() >= 0
    assert probs.sum() == pytest.approx(1, abs=1e-5)


@PROPERTY
@given(values=st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0]) | st.floats(-9, 9, width=32), min_size=1),
       enough=st.integers(1, 50))
def test_a_threshold_is_what_sorting_finds(values, enough):
    values = np.float32(values)
    wanted = np.sort(values)[::-1][min(enough, len(values)) - 1]
    assert threshold(values, np.ones_like(values), enough) == wanted


def test_greedy_takes_the_likeliest_that_is_not_banned():
    logits = np.float32([0.1, 2.0, 1.0])
    seen = np.zeros(3, np.int32)
    assert choose(logits, np.zeros(3, np.float32), seen, SamplingParams(greedy=True), 0.9) == 1
    assert choose(logits, np.float32([0, -np.inf, 0]), seen, SamplingParams(greedy=True), 0.9) == 2
    assert choose(logits, np.float32([5, 0, 0]), seen, SamplingParams(greedy=True), 0.9) == 0


def test_the_banned_are_never_drawn_and_something_has_to_be_left():
    bias = np.full(V, -np.inf, np.float32)
    assert choose(NO_BIAS, bias, NONE_SEEN, SamplingParams(), 0.5) == NOTHING_LEFT
    bias[9] = 0
    assert {choose(NO_BIAS, bias, NONE_SEEN, SamplingParams(), u) for u in (0.0, 0.5, 1 - 2**-53)} == {9}


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize("penalty", [1e-45, 1e300])
def test_a_penalty_beyond_all_numbers_is_noticed(penalty, greedy):
    logits = np.zeros(V, np.float32)
    logits[3] = 1e10 if penalty < 1 else 0
    assert choose(logits, NO_BIAS, COUNTS, SamplingParams(repetition_penalty=penalty, greedy=greedy), 0.5) == NOT_FINITE


def test_top_k_keeps_ties():
    assert kept(keep_top_k(np.float32([1.0, 2.0, 2.0, 0.0]), 1)) == {1, 2}


def test_the_lowest_temperature_is_greedy():
    assert softmax(apply_temperature(np.float32([1.0, 3.0, 2.0]), 1e-300)).tolist() == [0, 1, 0]
