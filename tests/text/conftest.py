"""Texts and tokenizers that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tinylm.text.corpus import open_corpus
from tinylm.text.reading.built_in import HELLO
from tinylm.text.tokenizer import Tokenizer

settings.register_profile("tinylm", derandomize=True, deadline=None, database=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tinylm")


@pytest.fixture(scope="session")
def reference_text() -> str:
    """About a quarter of a megabyte of English that every Python carries."""
    return "".join(piece.text for piece in open_corpus("python-reference").pieces())


@pytest.fixture(scope="session")
def small(reference_text: str) -> dict[str, Tokenizer]:
    """A tokenizer of each kind, trained on the reference; `word` knows <unk>."""
    return {kind: Tokenizer.train(kind, [reference_text], vocab_size=1024 if kind == "bpe" else None)
            for kind in ("word", "char", "bpe")}


@pytest.fixture(scope="session")
def notebook() -> Tokenizer:
    """The notebook's own vocabulary."""
    return Tokenizer.train("word", HELLO, unknown_token=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file below the test's own folder."""
    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
