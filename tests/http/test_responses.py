"""Responses: events as they come, until the last one, the deadline, or the client's leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
from starlette.types import Receive, Scope, Send

from tinylm.http.errors import overloaded
from tinylm.http.responses import ClientGone, EventStream, dumps, event

from .application import ask


class Streaming:
    """An application of one stream. `closed`: the generator has been closed."""

    def __init__(self, count: int, pause: float = 0.0, seconds: float = 10.0, fails_at: int = -1) -> None:
        self.count, self.pause, self.seconds, self.fails_at = count, pause, seconds, fails_at
        self.firsts, self.closed = 0, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        deadline = asyncio.get_running_loop().time() + self.seconds
        await EventStream(self.events(), deadline, self._first)(scope, receive, send)

    def _first(self) -> None:
        self.firsts += 1

    async def events(self) -> AsyncGenerator[bytes, None]:
        try:
            for number in range(self.count):
                if number == self.fails_at:
                    raise overloaded("too many")
                yield event({"number": number})
                await asyncio.sleep(self.pause)
        finally:
            self.closed = True


def numbers(body: bytes) -> list[object]:
    return [json.loads(line.removeprefix(b"data: ")) for line in body.split(b"\n\n") if line]


def test_events_come_in_order_and_the_first_is_noted() -> None:
    app = Streaming(3)
    reply = ask(app, "/")
    assert numbers(reply.body) == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert (app.firsts, app.closed) == (1, True)


def test_an_error_after_the_first_event_is_the_last_event() -> None:
    *_, last = numbers(ask(Streaming(3, fails_at=1), "/").body)
    assert last == {"error": {"message": "too many", "type": "rate_limit_error", "param": None,
                              "code": "rate_limit_exceeded"}}


def test_the_deadline_ends_a_stream() -> None:
    app = Streaming(100, pause=0.05, seconds=0.12)
    *_, last = numbers(ask(app, "/").body)
    assert isinstance(last, dict)
    assert last["error"]["code"] == "timeout"
    assert app.closed


def test_a_client_that_leaves_ends_it() -> None:
    app = Streaming(100, pause=10)
    with pytest.raises(ClientGone):
        ask(app, "/", more=lambda: [{"type": "http.disconnect"}])
    assert app.closed


def test_numbers_that_json_does_not_know_are_refused() -> None:
    assert dumps({"text": "é"}) == '{"text":"é"}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        dumps(float("nan"))
