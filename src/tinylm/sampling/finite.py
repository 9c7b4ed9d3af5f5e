"""Finite logits, or the error that says where to look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError


def finite(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the logits. Raises: TinyLMError: one of them is not finite."""
    if not np.isfinite(logits).all():
        raise not_finite()
    return logits


def not_finite() -> TinyLMError:
    """The error for a model with a logit that is not finite."""
    return TinyLMError("the model computes a number that is not finite: its weights or settings are damaged",
                       remedy="Restore its folder from a copy, or train again")
