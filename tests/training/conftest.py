"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tinylm.model.threads import torch_threads


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The order of sums is that of one thread, whatever the machine."""
    with torch_threads(1):
        yield
