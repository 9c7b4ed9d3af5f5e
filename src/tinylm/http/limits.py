"""Limits of connections and requests: how many at once, how large, how long."""

from __future__ import annotations

from dataclasses import dataclass

BODY_BYTES = 1 << 20
HEADER_BYTES = 1 << 14


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of a server's connections.

    Attributes:
        connections: connections open at the same time.
        seconds: for a request, from its arrival to its last byte.
        read_seconds: until a connection has delivered its request.
        grace: seconds that running requests have when the server is asked to stop.
    """

    connections: int = 512
    seconds: float = 300.0
    read_seconds: float = 10.0
    grace: float = 10.0
