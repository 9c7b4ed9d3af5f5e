"""Chance that follows from seed and place; tokens named by text or number; what may not be chosen."""

import numpy as np
import pytest

from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError
from tinylm.sampling.sampler import Sampler, bias_of, token_id, uniform
from tinylm.text.tokenizer import Tokenizer

WORDS = Tokenizer.train("word", ["how are you fine thanks #2"])
LOGITS = np.zeros(50, np.float32)


def drawn(seed, count=20, **values):
    sampler = Sampler(SampleConfig(temperature=1.0, **values), [1], np.zeros_like(LOGITS), seed)
    return [sampler.next(LOGITS) for _ in range(count)]


def test_the_same_seed_draws_the_same_and_another_does_not():
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert drawn(2**63 - 1) == drawn(2**63 - 1)


def test_numbers_are_even_over_places_and_over_seeds():
    """1,000 buckets of 100: chi-squared with 999 degrees of freedom is above 1,170 in one of ten thousand cases."""
    over_places = [uniform(3, place) for place in range(100_000)]
    over_seeds = [uniform(seed, 0) for seed in range(100_000)]
    for numbers in (over_places, over_seeds):
        seen = np.histogram(numbers, bins=1000, range=(0, 1))[0]
        assert ((seen - 100) ** 2 / 100).sum() < 1170
    assert len({*over_places, *over_seeds}) == 199_999  # seed 3 at place 0 is in both


def test_many_places_at_once_have_the_numbers_of_each():
    for seed in (0, 3, 2**63 - 1):
        places = np.array([0, 1, 77, 2**40], np.uint64)
        assert uniform(seed, places).tolist() == [uniform(seed, place) for place in places.tolist()]


def test_neighbouring_places_and_seeds_know_nothing_of_each_other():
    numbers = np.array([[uniform(seed, place) for place in range(300)] for seed in range(300)]) - 0.5
    for one, other in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
        assert abs(np.mean(one * other) * 12) < 4 / np.sqrt(one.size)


def test_what_was_said_counts():
    forever = drawn(0, greedy=True)
    assert forever == [0] * 20
    assert drawn(0, greedy=True, presence_penalty=1.0) == [0, 2, *range(3, 21)]  # id 1 was in the prompt


def test_tokens_are_named_by_text_or_number():
    assert token_id("you", WORDS, "") == WORDS.encode_text("you")[0]
    assert token_id("#2", WORDS, "") == 2
    bias = bias_of(SampleConfig(banned_tokens=("you", "#2"), logit_bias={"fine": 1.5, "#2": 3.0}), WORDS)
    assert bias[2] == bias[WORDS.encode_text("you")[0]] == -np.inf
    assert bias[WORDS.encode_text("fine")[0]] == 1.5
    assert np.count_nonzero(bias) == 3


@pytest.mark.parametrize(("token", "says"), [
    ("how are", "'how are' is 2 tokens"), ("", "'' is 0 tokens"), ("#99", "there is no token #99: the ids are 0 to"),
])
def test_what_is_not_one_token_is_said(token, says):
    with pytest.raises(TinyLMError, match=says):
        bias_of(SampleConfig(banned_tokens=(token,)), WORDS)


def test_everything_banned_is_said():
    sampler = Sampler(SampleConfig(), [1], np.full(50, -np.inf, np.float32), 0)
    with pytest.raises(TinyLMError, match="every token is banned"):
        sampler.next(LOGITS)


def test_a_penalty_beyond_all_numbers_is_said():
    sampler = Sampler(SampleConfig(repetition_penalty=1e-45), [1], np.zeros_like(LOGITS), 0)
    with pytest.raises(TinyLMError, match="leave no probabilities"):
        sampler.next(LOGITS + np.float32(1e10))
