"""A page's sampler draws what sampling/ draws: the same random numbers, the same filters, the same ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.page.node import make_folder, run
from tinylm.sampling.filters import SamplingParams, apply_filters, apply_penalties, choose, softmax
from tinylm.sampling.sampler import uniform

SETTINGS: dict[str, tuple[float, ...]] = {
    "repetition_penalty": (1.0, 1.3, 0.8), "frequency_penalty": (0.0, 0.4), "presence_penalty": (0.0, 0.7),
    "temperature": (0.8, 1.0, 0.3, 1.7), "top_k": (0, 1, 5, 40), "top_p": (1.0, 0.9, 0.4), "min_p": (0.0, 0.1),
    "typical_p": (1.0, 0.8), "greedy": (False, False, False, True)}


@pytest.fixture(scope="module")
def asked() -> dict[str, Any]:
    random = np.random.default_rng(3)
    choices = []
    for _ in range(400):
        params = {name: values[random.integers(len(values))] for name, values in SETTINGS.items()}
        logits = (3 * random.standard_normal(60)).astype(np.float32)
        logits[random.integers(60, size=4)] = logits[0]  # some are equal
        bias = [] if random.random() < 0.5 else [[3, None], [7, 1.5], [int(logits.argmax()), None]]
        choices.append({"logits": logits.tolist(), "ids": random.integers(60, size=20).tolist(), "params": params,
                        "bias": bias, "random": random.random()})
    uniforms = [[seed, index] for seed in (0, 1, 7, 2**31, 2**52) for index in (0, 1, 2, 99, 12345)]
    return {"uniforms": uniforms, "choices": choices}


@pytest.fixture(scope="module")
def found(asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(make_folder(tmp_path_factory.mktemp("node")), "choices.mjs", asked)


def test_the_random_numbers_are_the_same(asked: dict[str, Any], found: dict[str, Any]) -> None:
    assert found["uniforms"] == [uniform(*each) for each in asked["uniforms"]]


def test_the_same_ids_are_chosen(asked: dict[str, Any], found: dict[str, Any]) -> None:
    for each, got in zip(asked["choices"], found["choices"], strict=True):
        logits, counts, params = prepared(each)
        bias = np.zeros(60, np.float32)
        for id, number in each["bias"]:
            bias[id] = -np.inf if number is None else bias[id] + np.float32(number)
        assert got["id"] == choose(logits, bias, counts, params, each["random"]), each["params"]


def test_the_same_ids_are_kept_with_the_same_probabilities(asked: dict[str, Any], found: dict[str, Any]) -> None:
    for each, got in zip(asked["choices"], found["choices"], strict=True):
        logits, counts, params = prepared(each)
        filtered = apply_filters(apply_penalties(logits, counts, *params[:3]), params)
        assert got["kept"] == np.isfinite(filtered).tolist(), each["params"]
        if not each["bias"] and not params.greedy:
            assert np.abs(np.array(got["probs"]) - softmax(filtered)).max() < 1e-6
            assert [bool(by) for by in got["cut"]] == (~np.isfinite(filtered)).tolist()


def test_what_was_cut_names_the_setting(asked: dict[str, Any], found: dict[str, Any]) -> None:
    for each, got in zip(asked["choices"], found["choices"], strict=True):
        named = set(got["cut"]) - {""}
        allowed = {"greedy"} if each["params"]["greedy"] else {"top_k", "top_p", "min_p", "typical_p", "banned_tokens"}
        assert named <= allowed
        for id, number in each["bias"]:
            if number is None and not each["params"]["greedy"]:
                assert got["cut"][id] == "banned_tokens"


def prepared(each: dict[str, Any]) -> tuple[Any, Any, SamplingParams]:
    counts = np.bincount(each["ids"], minlength=60).astype(np.int32)
    return np.array(each["logits"], np.float32), counts, SamplingParams(**each["params"])
