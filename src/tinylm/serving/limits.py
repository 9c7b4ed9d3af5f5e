"""Limits of a server of models: what a client may ask for, and how much is written at once."""

from __future__ import annotations

from dataclasses import dataclass

from tinylm.http.limits import ConnectionLimits


@dataclass(frozen=True)
class Limits(ConnectionLimits):
    """Limits of a server of models.

    Attributes:
        texts: texts of one model that are written side by side.
        queue: texts that wait to be written; while so many wait, requests are refused.
        max_tokens: new tokens of one text.
        models: models loaded at the same time.
    """

    texts: int = 32
    queue: int = 128
    max_tokens: int = 4096
    models: int = 4
