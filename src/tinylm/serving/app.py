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
from tinylm.http.access import AccessMiddleware, AccessPolicy
from tinylm.http.errors import ApiError, invalid_setting, server_error
from tinylm.http.limits import Limits
from tinylm.http.responses import ClientGone, EventStream, Json, cancel_on_disconnect, send_error
from tinylm.serving import mistaken_paths, openapi
from tinylm.serving.completions import CompletionStream, prepare_prompts
from tinylm.serving.metrics import CONTENT_TYPE, Metrics
from tinylm.serving.model_registry import ModelRegistry, ServedModel
from tinylm.serving.prompts import encode_prompt
from tinylm.serving.reading import parse, read_body
from tinylm.serving.request_schemas import ChatRequest, CompletionRequest, NextRequest
from tinylm.serving.response_schemas import Model
from tinylm.system.untrusted import quoted

RequestT = TypeVar("RequestT", bound=BaseModel)
MAX_INLINE_BYTES = 4096
"""Bytes of a body that is dealt with at once: a longer one goes to another thread, so that nobody waits for it."""
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@dataclass
class RequestContext:
    """One request, for the log and the counts. `completion`: if it is one with tokens."""

    started: float
    deadline: float
    status: int = 0
    completion: CompletionStream | None = None
    served: ServedModel | None = None

    def release(self) -> None:
        """Nothing is wanted of the model any more."""
        if self.completion is not None:
            self.completion.cancel()
        if self.served is not None:
            self.served.release()


class Api:
    """
    Args:
        connections: how many are open.
    """

    def __init__(self, registry: ModelRegistry, limits: Limits, metrics: Metrics,
                 connections: Callable[[], int]) -> None:
        self._registry, self._limits, self._metrics, self._connections = registry, limits, metrics, connections
        get: dict[str, Callable[..., Any]] = {
            "/v1/models": self.models, "/v1/models/{model}": self.model, "/healthz": self.health,
            "/metrics": self.metrics, "/openapi.json": self.document, "/": self.page, "/docs": self.page}
        post: dict[str, Callable[..., Any]] = {
            "/v1/completions": self.completions, "/v1/chat/completions": self.chat, "/v1/next": self.next}
        routes = [*(Route(path, do, methods=["GET"]) for path, do in get.items()),
                  *(Route(path, do, methods=["POST"]) for path, do in post.items())]
        self._methods = {**dict.fromkeys(get, "GET"), **dict.fromkeys(post, "POST")}
        self.router = Router(routes, redirect_slashes=False, default=self._not_found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # starlette's routes then raise what is wrong, and do not answer themselves
        try:
            await self.router(scope, receive, send)
        except ApiError as error:
            await send_error(error, send)
        except HTTPException as error:
            await send_error(mistaken_paths.method_not_allowed(scope, dict(error.headers or {})), send)

    async def _not_found(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        raise mistaken_paths.not_found(scope, self._methods)

    # ---- the models

    async def models(self, _: Request) -> Response:
        return Json({"object": "list", "data": [self._model(id) for id in self._registry.ids()]})

    async def model(self, request: Request) -> Response:
        id = request.path_params["model"]
        if id not in self._registry.ids():
            raise self._registry.unknown(id)
        return Json(self._model(id))

    def _model(self, id: str) -> Model:
        return {"id": id, "object": "model", "created": self._registry.created(id), "owned_by": "tinylm"}

    # ---- what they say

    async def completions(self, request: Request) -> Response:
        fields, served, context, is_long = await self._read_request(request, CompletionRequest)
        work = partial(prepare_prompts, served.lm, fields, self._limits)
        prompts = await asyncio.to_thread(work) if is_long else work()
        completion = context.completion = CompletionStream(served, fields, prompts)
        deadline = context.deadline
        if fields.stream:
            return EventStream(completion.events(), deadline, lambda: self._observe_first_token(context))
        async with cancel_on_disconnect(request.receive, deadline):
            whole = await completion.collect()
        return Json(whole)

    def _observe_first_token(self, context: RequestContext) -> None:
        self._metrics.first_token.observe(time.perf_counter() - context.started)

    async def next(self, request: Request) -> Response:
        fields, served, context, _ = await self._read_request(request, NextRequest)
        encoded = encode_prompt(served.lm.tokenizer, fields.prompt or "", "prompt")
        try:
            async with cancel_on_disconnect(request.receive, context.deadline):
                found = await served.scheduler.interleave(served.lm.predict_stepwise(encoded.ids, fields.top))
        except TinyLMError as error:
            raise invalid_setting(error, param="prompt") from None
        warnings = {"warnings": encoded.warnings} if encoded.warnings else {}
        return Json({"model": served.id, "prompt": encoded.text, "ids": encoded.ids,
                     "next": [each._asdict() for each in found], **warnings})

    async def chat(self, request: Request) -> Response:
        _, served, _, _ = await self._read_request(request, ChatRequest)
        raise ApiError(404, f"The model {served.id!r} has no chat format: it was trained to write on from a text. Ask "
                            "/v1/completions instead, with a prompt", param="model", code="no_chat_format")

    async def _read_request(self, request: Request,
                            kind: type[RequestT]) -> tuple[RequestT, ServedModel, RequestContext, bool]:
        """What is asked, of which model, and whether it is long."""
        body = await read_body(request)
        is_long = len(body) > MAX_INLINE_BYTES
        fields = await asyncio.to_thread(parse, kind, body) if is_long else parse(kind, body)
        served = await self._registry.get(fields.model)  # type: ignore[attr-defined]
        context: RequestContext = request.scope["tinylm.context"]
        context.served = served
        return fields, served, context, is_long

    # ---- about the server

    async def health(self, _: Request) -> Response:
        return Json({"status": "ok"})

    async def metrics(self, _: Request) -> Response:
        return PlainTextResponse(self._metrics.text(self._registry, self._connections()), media_type=CONTENT_TYPE)

    async def document(self, _: Request) -> Response:
        return Json(openapi.document(self._limits, self._registry))

    async def page(self, _: Request) -> Response:
        policy = f"default-src 'none'; style-src {openapi.STYLE_HASH}; frame-ancestors 'none'; base-uri 'none'; " \
                 "form-action 'none'"
        page = openapi.page(openapi.document(self._limits, self._registry))
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})


class LoggingMiddleware:
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
        context = RequestContext(time.perf_counter(), asyncio.get_running_loop().time() + self._seconds)
        scope["tinylm.context"] = context
        name = (b"x-request-id", secrets.token_hex(8).encode())

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                message["headers"] = [*message.get("headers", []), name]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except (ClientGone, ClientDisconnect):
            context.status = 499
        except Exception as error:
            self._log("".join(traceback.format_exception(error)))
            if context.status:
                raise
            await send_error(server_error(), send_named)
        finally:
            context.release()
            self._record(scope, context)

    def _record(self, scope: Scope, context: RequestContext) -> None:
        seconds = time.perf_counter() - context.started
        route = self._paths.get(scope.get("endpoint"), "unknown")  # type: ignore[arg-type]
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.requests[method, route, context.status] += 1
        self._metrics.duration.observe(seconds)
        tokens = ""
        if (completion := context.completion) is not None and context.served is not None:
            model = context.served.id
            self._metrics.prompt_tokens[model] += completion.prompt_tokens
            self._metrics.completion_tokens[model] += completion.completion_tokens
            tokens = f"{model}  {completion.prompt_tokens} + {completion.completion_tokens} tokens  "
            tokens += "warned  " if completion.warnings else ""
        shown = route if route != "unknown" else quoted(scope["path"][:100])
        self._log(f"{time.strftime('%H:%M:%S')}  {method} {shown}  {context.status}  {tokens}{1000 * seconds:.0f} ms")


def build_app(registry: ModelRegistry, limits: Limits, access: AccessPolicy, log: Callable[[str], None],
          connections: Callable[[], int]) -> ASGIApp:
    """All layers: LoggingMiddleware, AccessMiddleware, routes."""
    metrics = Metrics()
    api = Api(registry, limits, metrics, connections)
    return LoggingMiddleware(AccessMiddleware(api, access), api.router, metrics, log, limits.seconds)
