"""How answers go out: one object, an error, or a stream of events; as long as somebody waits for them."""

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
    """Nobody waits for the answer any more."""


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def event(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + dumps(value) + b"\n\n"


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return dumps(content)


async def send_error(error: ApiError, send: Send) -> None:
    body = dumps(error.body())
    headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def wanted(receive: Receive, until: float) -> AsyncIterator[None]:
    """Within the block the client is there, and has time.

    Args:
        receive: after the body has been read.
        until: by the clock of the event loop.

    Raises:
        ClientGone: it has left.
        ApiError: its time is over.
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
        async with asyncio.timeout_at(until):
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
    """
    Args:
        events: the first comes, be it empty, as soon as the answer is sure not to be an error.
        until: when its time is over.
        on_first: called then.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], until: float, on_first: Callable[[], None]) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})  # what stands in between is not to wait for the end
        self._events, self._until, self._on_first = events, until, on_first
        self._has_started = False
        del self.headers["content-length"]

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        last = b""
        try:
            async with wanted(receive, self._until), aclosing(self._events):
                await self._send_events(send)
        except ApiError as error:
            if not self._has_started:
                raise
            last = event(error.body())
        await send({"type": "http.response.body", "body": last})

    async def _send_events(self, send: Send) -> None:
        async for data in self._events:
            if not self._has_started:
                self._has_started = True
                self._on_first()
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if data:
                await send({"type": "http.response.body", "body": data, "more_body": True})
