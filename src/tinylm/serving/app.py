"""The routes, and what each does."""

from __future__ import annotations

import asyncio
import secrets
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinylm.errors import TinyLMError
from tinylm.http.access import Door, Guard
from tinylm.http.errors import ApiError, of_settings, server_error
from tinylm.http.limits import Limits
from tinylm.http.responses import ClientGone, EventStream, Json, send_error, wanted
from tinylm.serving import mistaken_paths, openapi
from tinylm.serving.completions import Answer, prepare
from tinylm.serving.metrics import CONTENT_TYPE, Metrics
from tinylm.serving.model_registry import Served, Shelf
from tinylm.serving.prompts import begin
from tinylm.serving.reading import parse, read_body
from tinylm.serving.request_schemas import ChatRequest, CompletionRequest, NextRequest
from tinylm.serving.response_schemas import Model
from tinylm.system.untrusted import quoted

Asked = TypeVar("Asked", bound=BaseModel)
SHORT = 4096
"""Bytes of a body that is dealt with at once: a longer one goes to another thread, so that nobody waits for it."""
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@dataclass
class Exchange:
    """One request, for the log and the counts. `answer`: if it is one with tokens."""

    began: float
    until: float
    status: int = 0
    answer: Answer | None = None
    served: Served | None = None

    def release(self) -> None:
        """Nothing is wanted of the model any more."""
        if self.answer is not None:
            self.answer.call_off()
        if self.served is not None:
            self.served.release()


class Api:
    """
    Args:
        connections: how many are open.
    """

    def __init__(self, shelf: Shelf, limits: Limits, metrics: Metrics, connections: Callable[[], int]) -> None:
        self._shelf, self._limits, self._metrics, self._connections = shelf, limits, metrics, connections
        get: dict[str, Callable[..., Any]] = {
            "/v1/models": self.models, "/v1/models/{model}": self.model, "/healthz": self.health,
            "/metrics": self.metrics, "/openapi.json": self.document, "/": self.page, "/docs": self.page}
        post: dict[str, Callable[..., Any]] = {
            "/v1/completions": self.completions, "/v1/chat/completions": self.chat, "/v1/next": self.next}
        routes = [*(Route(path, do, methods=["GET"]) for path, do in get.items()),
                  *(Route(path, do, methods=["POST"]) for path, do in post.items())]
        self._methods = {**dict.fromkeys(get, "GET"), **dict.fromkeys(post, "POST")}
        self.router = Router(routes, redirect_slashes=False, default=self._nothing_there)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # starlette's routes then raise what is wrong, and do not answer themselves
        try:
            await self.router(scope, receive, send)
        except ApiError as error:
            await send_error(error, send)
        except HTTPException as error:
            await send_error(mistaken_paths.wrong_method(scope, dict(error.headers or {})), send)

    async def _nothing_there(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        raise mistaken_paths.nothing_at(scope, self._methods)

    # ---- the models

    async def models(self, _: Request) -> Response:
        return Json({"object": "list", "data": [self._model(id) for id in self._shelf.ids()]})

    async def model(self, request: Request) -> Response:
        id = request.path_params["model"]
        if id not in self._shelf.ids():
            raise self._shelf.unknown(id)
        return Json(self._model(id))

    def _model(self, id: str) -> Model:
        return {"id": id, "object": "model", "created": self._shelf.created(id), "owned_by": "tinylm"}

    # ---- what they say

    async def completions(self, request: Request) -> Response:
        asked, served, exchange, is_long = await self._take(request, CompletionRequest)
        work = partial(prepare, served.lm, asked, self._limits)
        prompts = await asyncio.to_thread(work) if is_long else work()
        answer = exchange.answer = Answer(served, asked, prompts)
        until = exchange.until
        if asked.stream:
            return EventStream(answer.events(), until, lambda: self._began_to_write(exchange))
        async with wanted(request.receive, until):
            whole = await answer.whole()
        return Json(whole)

    def _began_to_write(self, exchange: Exchange) -> None:
        self._metrics.first_token.take(time.perf_counter() - exchange.began)

    async def next(self, request: Request) -> Response:
        asked, served, exchange, _ = await self._take(request, NextRequest)
        begun = begin(served.lm.tokenizer, asked.prompt or "", "prompt")
        try:
            async with wanted(request.receive, exchange.until):
                found = await served.scheduler.share(served.lm.generator.predict_stepwise(begun.ids, asked.top))
        except TinyLMError as error:
            raise of_settings(error, param="prompt") from None
        warnings = {"warnings": begun.warnings} if begun.warnings else {}
        return Json({"model": served.id, "prompt": begun.text, "ids": begun.ids,
                     "next": [each._asdict() for each in found], **warnings})

    async def chat(self, request: Request) -> Response:
        _, served, _, _ = await self._take(request, ChatRequest)
        raise ApiError(404, f"The model {served.id!r} has no chat format: it was trained to write on from a text. Ask "
                            "/v1/completions instead, with a prompt", param="model", code="no_chat_format")

    async def _take(self, request: Request, kind: type[Asked]) -> tuple[Asked, Served, Exchange, bool]:
        """What is asked, of which model, and whether it is long."""
        body = await read_body(request)
        is_long = len(body) > SHORT
        asked = await asyncio.to_thread(parse, kind, body) if is_long else parse(kind, body)
        served = await self._shelf.get(asked.model)  # type: ignore[attr-defined]
        exchange: Exchange = request.scope["tinylm.exchange"]
        exchange.served = served
        return asked, served, exchange, is_long

    # ---- about the server

    async def health(self, _: Request) -> Response:
        return Json({"status": "ok"})

    async def metrics(self, _: Request) -> Response:
        return PlainTextResponse(self._metrics.text(self._shelf, self._connections()), media_type=CONTENT_TYPE)

    async def document(self, _: Request) -> Response:
        return Json(openapi.document(self._limits, self._shelf))

    async def page(self, _: Request) -> Response:
        policy = f"default-src 'none'; style-src {openapi.STYLE_HASH}; frame-ancestors 'none'; base-uri 'none'; " \
                 "form-action 'none'"
        page = openapi.page(openapi.document(self._limits, self._shelf))
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})


class Watch:
    """Outermost: one line of log for each request, the counts, and an answer whatever goes wrong inside.

    Args:
        log: takes a line.
        seconds: that a request may take.
    """

    def __init__(self, app: ASGIApp, router: Router, metrics: Metrics, log: Callable[[str], None],
                 seconds: float) -> None:
        self._app, self._metrics, self._log, self._seconds = app, metrics, log, seconds
        self._paths = {route.endpoint: route.path for route in router.routes if isinstance(route, Route)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(time.perf_counter(), asyncio.get_running_loop().time() + self._seconds)
        scope["tinylm.exchange"] = exchange
        name = (b"x-request-id", secrets.token_hex(8).encode())

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", []), name]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except (ClientGone, ClientDisconnect):
            exchange.status = 499
        except Exception as error:
            self._log("".join(traceback.format_exception(error)))
            if exchange.status:
                raise
            await send_error(server_error(), send_named)
        finally:
            exchange.release()
            self._note(scope, exchange)

    def _note(self, scope: Scope, exchange: Exchange) -> None:
        seconds = time.perf_counter() - exchange.began
        route = self._paths.get(scope.get("endpoint"), "unknown")  # type: ignore[arg-type]
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.requests[method, route, exchange.status] += 1
        self._metrics.duration.take(seconds)
        tokens = ""
        if (answer := exchange.answer) is not None and exchange.served is not None:
            model = exchange.served.id
            self._metrics.prompt_tokens[model] += answer.prompt_tokens
            self._metrics.completion_tokens[model] += answer.completion_tokens
            tokens = f"{model}  {answer.prompt_tokens} + {answer.completion_tokens} tokens  "
            tokens += "warned  " if answer.warnings else ""
        shown = route if route != "unknown" else quoted(scope["path"][:100])
        self._log(f"{time.strftime('%H:%M:%S')}  {method} {shown}  {exchange.status}  {tokens}{1000 * seconds:.0f} ms")


def build(shelf: Shelf, limits: Limits, door: Door, log: Callable[[str], None],
          connections: Callable[[], int]) -> ASGIApp:
    """All layers: Watch, Guard, routes."""
    metrics = Metrics()
    api = Api(shelf, limits, metrics, connections)
    return Watch(Guard(api, door), api.router, metrics, log, limits.seconds)
