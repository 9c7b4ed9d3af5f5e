"""An application of routes whose errors are JSON: the base of each server's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from tinylm.http.errors import ApiError
from tinylm.http.responses import send_error
from tinylm.system.untrusted import quoted

Handlers = Mapping[str, Callable[[Request], Awaitable[Response]]]
"""The function that answers, by method."""


class JsonApi:
    """ASGI application: routes, and an error in JSON for each request that has none or that a route refuses.

    Args:
        handlers: of each path.
    """

    def __init__(self, handlers: Mapping[str, Handlers]) -> None:
        routes = [Route(path, partial(_dispatch, each), methods=[*each]) for path, each in handlers.items()]
        self.router = Router(routes, redirect_slashes=False, default=self._default)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # starlette's routes then raise errors, and do not answer with them
        try:
            await self.router(scope, receive, send)
        except ApiError as error:
            await send_error(error, send)
        except HTTPException as error:
            await send_error(self.method_not_allowed(scope, dict(error.headers or {})), send)

    def not_found(self, scope: Scope) -> ApiError:
        """The error for a path without a route."""
        return ApiError(404, f"There is nothing at {quoted(scope['path'])}", code="not_found")

    def method_not_allowed(self, scope: Scope, headers: dict[str, str]) -> ApiError:
        """The error for a route that is asked with another method.

        Args:
            headers: those of the error; `Allow` names the right methods.
        """
        allowed = [method for method in headers.get("Allow", "").split(", ") if method and method != "HEAD"]
        return ApiError(405, f"{quoted(scope['path'])} is asked by {' or '.join(allowed)}, and this was "
                             f"{quoted(scope['method'])}", code="method_not_allowed", headers=headers)

    async def _default(self, scope: Scope, _receive: Receive, _send: Send) -> NoReturn:
        raise self.not_found(scope)


async def _dispatch(handlers: Handlers, request: Request) -> Response:
    return await handlers["GET" if request.method == "HEAD" else request.method](request)
