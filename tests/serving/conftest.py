"""Models to serve, and a server that tests share which leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from . import models
from .server import Server


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("served")
    for make in (models.characters, models.random_bytes, models.whole_characters):
        make(folder / make.__name__)
    return folder


@pytest.fixture(scope="session")
def characters(runs: Path) -> Path:
    return runs / "characters"


@pytest.fixture(scope="session")
def server(runs: Path) -> Iterator[Server]:
    """All of them, with no key."""
    with Server(runs) as server:
        yield server
