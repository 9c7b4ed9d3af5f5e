"""The outermost middleware: an id, a deadline and a line of log for each request, and a response whatever fails."""

from __future__ import annotations

import asyncio
import secrets
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinylm.http.errors import server_error
from tinylm.http.responses import ClientGone, send_error
from tinylm.system.untrusted import quoted

CLIENT_CLOSED_REQUEST = 499
"""The status that the log shows for a client that left before its response: nginx's."""
_CONTEXT = "tinylm.context"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@dataclass
class RequestContext:
    """The state of one request while it is answered.

    Attributes:
        started: when the request came, by `time.perf_counter`.
        deadline: when its time is over, by the clock of the event loop.
        status: the status that was sent; 0: none yet.
        summary: gives words for the line of log, once the response has ended.
        cleanup: callbacks that run when the response has ended, the last one first.
    """

    started: float
    deadline: float
    status: int = 0
    summary: Callable[[], str] = str
    cleanup: ExitStack = field(default_factory=ExitStack)

    @staticmethod
    def of(scope: Scope) -> RequestContext:
        """The context of the request that an ASGI scope stands for."""
        context: RequestContext = scope[_CONTEXT]
        return context


class LoggingMiddleware:
    """ASGI middleware: logs and counts each request, and answers with status 500 where the application fails.

    Args:
        app: the application behind it, which finds its `RequestContext` in the scope.
        router: its routes. The log and the counts name a route, never a path that a client made up.
        log: takes a line.
        observe: takes method, route, status and seconds of a request that has ended.
        seconds: the time that a request may take.
        lines: False: a request that goes well, or is refused, has no line of log.
    """

    def __init__(self, app: ASGIApp, router: Router, log: Callable[[str], None],
                 observe: Callable[[str, str, int, float], None], seconds: float, *, lines: bool = True) -> None:
        self._app, self._log, self._observe, self._seconds, self._lines = app, log, observe, seconds, lines
        self._paths = {route.endpoint: route.path for route in router.routes if isinstance(route, Route)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        context = RequestContext(time.perf_counter(), asyncio.get_running_loop().time() + self._seconds)
        scope[_CONTEXT] = context
        name = (b"x-request-id", secrets.token_hex(8).encode())

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                message["headers"] = [*message.get("headers", []), name]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except (ClientGone, ClientDisconnect):
            context.status = CLIENT_CLOSED_REQUEST
        except Exception as error:
            self._log("".join(traceback.format_exception(error)))
            if context.status:
                raise
            await send_error(server_error(), send_named)
        finally:
            context.cleanup.close()
            self._record(scope, context)

    def _record(self, scope: Scope, context: RequestContext) -> None:
        seconds = time.perf_counter() - context.started
        route = self._paths.get(scope.get("endpoint"), "unknown")  # type: ignore[arg-type]
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._observe(method, route, context.status, seconds)
        if not self._lines:
            return
        shown = route if route != "unknown" else quoted(scope["path"][:100])
        self._log(f"{time.strftime('%H:%M:%S')}  {method} {shown}  {context.status}  {context.summary()}"
                  f"{1000 * seconds:.0f} ms")
