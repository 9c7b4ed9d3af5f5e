"""An application without models, and requests to it in this process: what a second server over tinylm.http would be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinylm.http.access import AccessMiddleware, AccessPolicy, AllowedHosts
from tinylm.http.body import parse_object, read_body
from tinylm.http.errors import ApiError
from tinylm.http.request_log import LoggingMiddleware, RequestContext
from tinylm.http.responses import Json, send_error

POLICY = AccessPolicy(AllowedHosts([], [8000]))


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Notebook:
    """Echoes JSON, fails, and leaves a word for the log."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.observed: list[tuple[str, str, int]] = []
        self.cleaned: list[str] = []
        routes = [Route("/echo", self.echo, methods=["POST"]), Route("/fail", self.fail, methods=["GET"]),
                  Route("/healthz", self.health, methods=["GET"])]
        self.router = Router(routes)

    async def echo(self, request: Request) -> Response:
        context = RequestContext.of(request.scope)
        for word in ("first", "second"):
            context.cleanup.callback(self.cleaned.append, word)
        values = parse_object(await read_body(request))
        context.summary = lambda: f"{len(values)} fields  "
        return Json(values)

    async def fail(self, _: Request) -> Response:
        raise RuntimeError("as it is asked to")

    async def health(self, _: Request) -> Response:
        return Json({"status": "ok"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.router(scope, receive, send)
        except ApiError as error:
            await send_error(error, send)

    def behind(self, policy: AccessPolicy = POLICY, seconds: float = 10.0) -> ASGIApp:
        """The application with all layers of tinylm.http around it."""
        return LoggingMiddleware(AccessMiddleware(self, policy), self.router, self.log.append, self._observe, seconds)

    def _observe(self, method: str, route: str, status: int, _seconds: float) -> None:
        self.observed.append((method, route, status))


def ask(app: ASGIApp, path: str, body: bytes | None = None, *, method: str = "", headers: dict[str, str] | None = None,
        more: Callable[[], list[Message]] = list) -> Reply:
    """The response to one request.

    Args:
        path: with a query, if there is one, as a URL spells both.
        headers: beside Host and, with a body, Content-Type; an empty value leaves one of these out.
        more: messages that come after the body, such as a disconnect.
    """
    given = {"host": "localhost:8000", **({"content-type": "application/json"} if body is not None else {}),
             **{name.lower(): value for name, value in (headers or {}).items()}}
    scope = {"type": "http", "http_version": "1.1", "method": method or ("GET" if body is None else "POST"),
             "path": unquote(path.partition("?")[0]), "raw_path": path.encode(), "root_path": "", "scheme": "http",
             "query_string": path.partition("?")[2].encode(),
             "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value]}
    return asyncio.run(_exchanged(app, scope, body or b"", more))


async def _exchanged(app: ASGIApp, scope: dict[str, Any], body: bytes, more: Callable[[], list[Message]]) -> Reply:
    incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}, *more()]
    sent: list[Message] = []

    async def receive() -> Message:
        if incoming:
            return incoming.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    starts = [each for each in sent if each["type"] == "http.response.start"]
    status = starts[0]["status"] if starts else 0
    named = {name.decode(): value.decode() for each in starts for name, value in each["headers"]}
    return Reply(status, named, b"".join(each.get("body", b"") for each in sent))
