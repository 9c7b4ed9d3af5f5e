"""Fixtures of the tests of the model: one thread, and models of the whole family."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from tests import model_strategies
from tinylm.model.threads import torch_threads
from tinylm.model.transformer import TinyLM


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    with torch_threads(1):
        yield


@pytest.fixture(scope="session")
def randomise() -> Callable[..., None]:
    return model_strategies.randomise


@pytest.fixture(scope="session")
def make_model() -> Callable[..., TinyLM]:
    return model_strategies.make_model


@pytest.fixture(scope="session")
def make_ids() -> Callable[..., torch.Tensor]:
    return model_strategies.make_ids
