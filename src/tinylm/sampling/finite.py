"""Finite logits, or the error that says where to look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError


def finite(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same. Raises: TinyLMError: not all of them are finite."""
    if not np.isfinite(logits).all():
        raise not_finite()
    return logits


def not_finite() -> TinyLMError:
    return TinyLMError("the model computes a number that is not finite: its weights or settings are damaged",
                       remedy="Restore its folder from a copy, or train again")
