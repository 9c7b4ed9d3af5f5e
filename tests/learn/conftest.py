"""A model of the animals without a mask, trained once."""

from __future__ import annotations

from pathlib import Path

import pytest

import tinylm


@pytest.fixture(scope="session")
def peek_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the animals that was trained without a mask. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "peek"
    tinylm.train("animals", preset="notebook", out=folder, quiet=True, config={"model": {"causal": False}})
    return folder
