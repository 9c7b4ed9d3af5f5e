"""Connections: uvicorn's, with what it does not know of: clients that are slow on purpose, too many of them, and
errors in the shape that clients read."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from tinylm.http.access import POLICY, SAFE
from tinylm.http.errors import ApiError
from tinylm.http.limits import HEADER_BYTES, Limits
from tinylm.http.responses import dumps

_TLS = b"\x16\x03"
"""How a client that was given an https:// address begins."""
_TOLD = {408: "The request did not come in time", 431: "The headers are too long",
         503: "All connections are taken. Try again in a moment"}


class Connection(H11Protocol):
    """
    Args:
        limits: how many connections there are, and how long each may take to deliver a request.
        tell: takes a line for whoever keeps the server.
        others: as uvicorn gives them.

    Attributes:
        waits_since: when it began to owe us a request, by the clock of the event loop; None while it does not.
    """

    def __init__(self, limits: Limits, tell: Callable[[str], None], **others: Any) -> None:
        super().__init__(**others)
        self._limits, self._tell = limits, tell
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self.waits_since: float | None = None

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """In slices, so that headers of any length are found too long before they are whole."""
        self._wait_for_request()
        if self.cycle is None and data.startswith(_TLS):
            self._tell("connection  a client speaks TLS, and this server does not: its URL begins with http://, not "
                       "https://")
            self._refuse(400, "This server speaks HTTP without TLS: the URL begins with http://, not https://")
        for start in range(0, len(data), HEADER_BYTES):
            if not self.transport.is_closing():
                super().data_received(data[start:start + HEADER_BYTES])
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(self._deadline, self._stuck)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read what it is sent. It has a while to catch up."""
        super().pause_writing()
        self._stuck = self.loop.call_later(self._limits.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop(self._stuck)
        super().resume_writing()

    # ---- what uvicorn calls

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - h11's own error says more
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        self._refuse(status, f"This is no HTTP request that can be answered ({error})")

    # ---- time

    def _look(self) -> None:
        """After anything that may have changed whose turn it is."""
        is_whole = self.cycle is not None and not self.cycle.more_body
        is_idle = is_whole and self.cycle.response_complete
        if is_whole:
            self._stop(self._deadline)
            self._deadline = None
            self.waits_since = self.loop.time() if is_idle else None

    def _wait_for_request(self) -> None:
        """From its first byte on, or from the connection's first moment."""
        is_answered = self.waits_since is None and self.cycle is not None and not self.cycle.response_complete
        if self._deadline is None and not is_answered:
            self.waits_since = self.loop.time()
            self._deadline = self.loop.call_later(self._limits.read_seconds, self._refuse, 408)

    # ---- refusing

    def _make_room(self) -> None:
        """Whoever owes us a request for longest leaves: one that is busy with an answer stays."""
        waiting = [other for other in self.connections if isinstance(other, Connection) and other is not self
                   and (other.waits_since is not None or other.transport.is_closing())]
        if waiting:
            longest = min(waiting, key=lambda other: other.waits_since or 0.0)
            self.connections.discard(longest)
            longest.transport.abort()
        else:
            self._refuse(503)

    def _refuse(self, status: int, message: str = "") -> None:
        """An error, if one can still be sent; and the end."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.transport.is_closing():
            body = dumps(ApiError(status, _TOLD.get(status, message)).body())
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
                       (b"connection", b"close"), *SAFE, POLICY]
            response = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self.loop.call_later(1, self.transport.abort)

    @staticmethod
    def _stop(*timers: asyncio.TimerHandle | None) -> None:
        for timer in timers:
            if timer is not None:
                timer.cancel()
