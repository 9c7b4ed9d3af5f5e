"""How much a client may ask for, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

BODY_BYTES = 1 << 20
HEADER_BYTES = 1 << 14


@dataclass(frozen=True)
class Limits:
    """
    Attributes:
        texts: written side by side, of one model.
        queue: texts that wait for a place; while so many do, requests are refused.
        connections: open at the same time.
        max_tokens: of one text.
        seconds: for a request, from its arrival to its last byte.
        read_seconds: until a connection has delivered its request.
        grace: seconds that requests under way have when the server is asked to stop.
        models: loaded at the same time.
    """

    texts: int = 32
    queue: int = 128
    connections: int = 512
    max_tokens: int = 4096
    seconds: float = 300.0
    read_seconds: float = 10.0
    grace: float = 10.0
    models: int = 4
