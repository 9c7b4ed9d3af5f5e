"""Responses: a JSON object, an error, or a stream of server-sent events; given up as soon as the client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tinylm.http.errors import ApiError


class ClientGone(Exception):
    """Raised when the client has closed the connection before its response was complete."""


def dumps(value: Any) -> bytes:
    """Compact JSON in UTF-8. Raises: ValueError: a number that JSON does not know, such as nan."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def event(value: Any) -> bytes:
    """A server-sent event with the value as JSON.

    >>> event({"index": 0})
    b'data: {"index":0}\\n\\n'
    """
    return b"data: " + dumps(value) + b"\n\n"


def line(value: Any) -> bytes:
    """A line of JSON.

    >>> line({"index": 0})
    b'{"index":0}\\n'
    """
    return dumps(value) + b"\n"


class Json(Response):
    """A response of JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return dumps(content)


async def send_error(error: ApiError, send: Send, *, as_text: bool = False) -> None:
    """Sends an error: in JSON, or as its sentences alone for a person who sees the response itself."""
    body = str(error).encode() if as_text else dumps(error.body())
    kind = b"text/plain; charset=utf-8" if as_text else b"application/json"
    headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    headers += [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def cancel_on_disconnect(receive: Receive, deadline: float) -> AsyncIterator[None]:
    """Cancels the block when the client disconnects or the deadline passes.

    Args:
        receive: the ASGI channel, after the body has been read.
        deadline: seconds by the clock of the event loop.

    Raises:
        ClientGone: the client has disconnected.
        ApiError: the deadline has passed (status 504).
    """
    task, has_left = asyncio.current_task(), False
    assert task is not None

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] != "http.disconnect":
            pass
        has_left = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        raise ApiError(504, "The time that this server gives to a request is over", code="timeout") from None
    except asyncio.CancelledError:
        if has_left:
            task.uncancel()
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()


class EventStream(Response):
    """A response of server-sent events.

    Args:
        events: encoded events. The first one, be it empty, comes as soon as the response is sure not to be an error;
            only then the status is sent.
        deadline: seconds by the clock of the event loop; past it the stream ends with an error event.
        on_first: called before the first event is sent.
    """

    media_type = "text/event-stream"
    encode = staticmethod(event)
    """The encoding of an error at its end."""

    def __init__(self, events: AsyncGenerator[bytes, None], deadline: float, on_first: Callable[[], None]) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})  # a proxy is not to wait for the end of the stream
        self._events, self._deadline, self._on_first = events, deadline, on_first
        self._has_started = False
        del self.headers["content-length"]

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        last = b""
        try:
            async with cancel_on_disconnect(receive, self._deadline), aclosing(self._events):
                await self._send_events(send)
        except ApiError as error:
            if not self._has_started:
                raise
            last = self.encode(error.body())
        await send({"type": "http.response.body", "body": last})

    async def _send_events(self, send: Send) -> None:
        async for data in self._events:
            if not self._has_started:
                self._has_started = True
                self._on_first()
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if data:
                await send({"type": "http.response.body", "body": data, "more_body": True})


class LineStream(EventStream):
    """A response of JSON objects, each in a line of its own. Arguments: as `EventStream`, with lines for events."""

    media_type = "application/x-ndjson"
    encode = staticmethod(line)
