"""What all tests share: a cache of their own, and a small model trained once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tinylm
from tinylm.errors import TinyLMError


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name of a parameter of bytes: two processes must collect the same names, and a gzip file holds the second."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips on Windows what needs POSIX, and gives slow tests, up to a hundred runs each, a quarter of an hour."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))
        if os.name == "nt" and item.get_closest_marker("needs_posix"):
            item.add_marker(pytest.mark.skip(reason="Windows lacks these links, pipes, signals, modes or shells"))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("TINYLM_CACHE")
    os.environ["TINYLM_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("TINYLM_CACHE")
    if before is not None:
        os.environ["TINYLM_CACHE"] = before


@pytest.fixture(scope="session")
def hello_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the notebook's corpus and preset. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "hello"
    tinylm.train("hello", preset="notebook", out=folder, quiet=True)
    return folder


@pytest.fixture(scope="session")
def animals_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the animals, as the demo and the lesson train it. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "animals"
    tinylm.train("animals", preset="notebook", epochs=400, out=folder, quiet=True)
    return folder


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 60 KB of flowing text that every machine has."""
    from pydoc_data.topics import topics

    path = tmp_path_factory.mktemp("texts") / "book.txt"
    path.write_text("\n".join(topics[name] for name in sorted(topics))[:60_000], encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def book_run(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few steps on `book`, in characters. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("runs") / "book"
    tinylm.train(book, size="0.1M", tokenizer="char", steps=30, out=folder, quiet=True,
                 config={"model": {"context_length": 32}})
    return folder


def refusal(folder: Path, change: Callable[[dict[str, Any]], object]) -> str:
    """Why a folder is not loaded once its config is changed."""
    values = json.loads((folder / "config.json").read_text())
    change(values)
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(TinyLMError) as error:
        tinylm.load(folder)
    return str(error.value)
