"""HTTP connections: uvicorn's protocol, extended by timeouts against clients that are slow on purpose, a bound on open
connections, and errors in the shape that OpenAI's clients read."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from tinylm.http.access import CONTENT_SECURITY_POLICY, SECURITY_HEADERS
from tinylm.http.errors import ApiError
from tinylm.http.limits import HEADER_BYTES, ConnectionLimits
from tinylm.http.responses import dumps

_TLS = b"\x16\x03"
"""The first bytes of a client that was given an https:// address."""
_MESSAGES = {408: "The request did not come in time", 431: "The headers are too long",
             503: "All connections are taken. Try again in a moment"}


class Connection(H11Protocol):
    """A connection of HTTP/1.1.

    Args:
        limits: how many connections may be open, and how long each may take to deliver a request.
        log: takes a line for the operator of the server.
        others: the arguments that uvicorn passes.

    Attributes:
        waiting_since: the time by the clock of the event loop since which the client owes a request; None while the
            server owes a response.
    """

    def __init__(self, limits: ConnectionLimits, log: Callable[[str], None], **others: Any) -> None:
        super().__init__(**others)
        self._limits, self._log = limits, log
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self.waiting_since: float | None = None

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()
        if len(self.connections) > self._limits.connections:
            self._evict()

    def data_received(self, data: bytes) -> None:
        """Feeds the data in slices, so that headers that are too long are refused before they are complete."""
        self._wait_for_request()
        if self.cycle is None and data.startswith(_TLS):
            self._log("connection  a client speaks TLS, and this server does not: its URL begins with http://, not "
                      "https://")
            self._refuse(400, "This server speaks HTTP without TLS: the URL begins with http://, not https://")
        for start in range(0, len(data), HEADER_BYTES):
            if not self.transport.is_closing():
                super().data_received(data[start:start + HEADER_BYTES])
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel(self._read_timer, self._write_timer)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Called when the client does not read what it is sent: it has `read_seconds` to catch up."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._limits.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._cancel(self._write_timer)
        super().resume_writing()

    # ---- what uvicorn calls

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_timer()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - h11's own error says more
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        self._refuse(status, f"This is no HTTP request that can be answered ({error})")

    # ---- time

    def _update_timer(self) -> None:
        """Stops the timer of reading when a request is complete, and notes whether the client owes the next one."""
        is_whole = self.cycle is not None and not self.cycle.more_body
        is_idle = is_whole and self.cycle.response_complete
        if is_whole:
            self._cancel(self._read_timer)
            self._read_timer = None
            self.waiting_since = self.loop.time() if is_idle else None

    def _wait_for_request(self) -> None:
        """Starts the timer within which the client has to deliver a complete request, unless it runs already."""
        is_answered = self.waiting_since is None and self.cycle is not None and not self.cycle.response_complete
        if self._read_timer is None and not is_answered:
            self.waiting_since = self.loop.time()
            self._read_timer = self.loop.call_later(self._limits.read_seconds, self._refuse, 408)

    # ---- refusing

    def _evict(self) -> None:
        """Closes the connection that owes a request for longest; connections that wait for a response stay."""
        waiting = [other for other in self.connections if isinstance(other, Connection) and other is not self
                   and (other.waiting_since is not None or other.transport.is_closing())]
        if waiting:
            longest = min(waiting, key=lambda other: other.waiting_since or 0.0)
            self.connections.discard(longest)
            longest.transport.abort()
        else:
            self._refuse(503)

    def _refuse(self, status: int, message: str = "") -> None:
        """Sends an error if no response has begun, and closes the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.transport.is_closing():
            body = dumps(ApiError(status, _MESSAGES.get(status, message)).body())
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
                       (b"connection", b"close"), *SECURITY_HEADERS, CONTENT_SECURITY_POLICY]
            response = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self.loop.call_later(1, self.transport.abort)

    @staticmethod
    def _cancel(*timers: asyncio.TimerHandle | None) -> None:
        for timer in timers:
            if timer is not None:
                timer.cancel()
