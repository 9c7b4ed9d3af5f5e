"""The HTTP application: a method for each route, and the middlewares around them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Scope

from tinylm.errors import TinyLMError
from tinylm.http.access import AccessMiddleware, AccessPolicy
from tinylm.http.api import JsonApi
from tinylm.http.body import read_body
from tinylm.http.errors import ApiError
from tinylm.http.request_log import LoggingMiddleware, RequestContext
from tinylm.http.responses import EventStream, Json, cancel_on_disconnect
from tinylm.serving import mistaken_paths, openapi
from tinylm.serving.chat_completions import ChatStream, prepare_messages
from tinylm.serving.completions import CompletionStream, prepare_prompts
from tinylm.serving.field_errors import invalid_setting
from tinylm.serving.limits import Limits
from tinylm.serving.metrics import CONTENT_TYPE, Metrics
from tinylm.serving.model_registry import ModelRegistry, ServedModel
from tinylm.serving.prompts import encode_prompt
from tinylm.serving.reading import parse
from tinylm.serving.request_schemas import ChatRequest, CompletionRequest, NextRequest
from tinylm.serving.response_schemas import Model
from tinylm.serving.text_stream import TextStream

RequestT = TypeVar("RequestT", bound=BaseModel)
MAX_INLINE_BYTES = 4096
"""Bytes of a body that is parsed in the event loop; a longer one is parsed in a thread, so that others do not wait."""


class Api(JsonApi):
    """The routes of OpenAI's API for completions and chats, and some of this project's own.

    Args:
        registry: the models.
        limits: what a request may ask for.
        metrics: counts tokens.
        connections: gives the number of open connections.
    """

    def __init__(self, registry: ModelRegistry, limits: Limits, metrics: Metrics,
                 connections: Callable[[], int]) -> None:
        self._registry, self._limits, self._metrics, self._connections = registry, limits, metrics, connections
        get: dict[str, Callable[..., Any]] = {
            "/v1/models": self.models, "/v1/models/{model}": self.model, "/healthz": self.health,
            "/metrics": self.metrics, "/openapi.json": self.document, "/": self.page, "/docs": self.page}
        post: dict[str, Callable[..., Any]] = {
            "/v1/completions": self.completions, "/v1/chat/completions": self.chat, "/v1/next": self.next}
        self._methods = {**dict.fromkeys(get, "GET"), **dict.fromkeys(post, "POST")}
        super().__init__({path: {self._methods[path]: do} for path, do in (get | post).items()})

    def not_found(self, scope: Scope) -> ApiError:
        return mistaken_paths.not_found(scope, self._methods)

    def method_not_allowed(self, scope: Scope, headers: dict[str, str]) -> ApiError:
        return mistaken_paths.method_not_allowed(scope, headers)

    # ---- the models

    async def models(self, _: Request) -> Response:
        ids = self._registry.ids()
        return Json({"object": "list", "data": await asyncio.to_thread(lambda: [*map(self._model, ids)])})

    async def model(self, request: Request) -> Response:
        id = request.path_params["model"]
        if id not in self._registry.ids():
            raise self._registry.unknown(id)
        return Json(await asyncio.to_thread(self._model, id))

    def _model(self, id: str) -> Model:
        return {"id": id, "object": "model", "created": self._registry.created(id), "owned_by": "tinylm",
                "capabilities": ["completion", "chat"] if self._registry.answers(id) else ["completion"]}

    # ---- completions

    async def completions(self, request: Request) -> Response:
        fields, served, context, is_long = await self._read_request(request, CompletionRequest)
        work = partial(prepare_prompts, served.lm, fields, self._limits)
        prompts = await asyncio.to_thread(work) if is_long else work()
        return await self._respond(request, context, served, CompletionStream(served, fields, prompts))

    async def chat(self, request: Request) -> Response:
        fields, served, context, is_long = await self._read_request(request, ChatRequest)
        work = partial(prepare_messages, served.lm, served.id, fields, self._limits)
        prompts = await asyncio.to_thread(work) if is_long else work()
        return await self._respond(request, context, served, ChatStream(served, fields, prompts))

    async def _respond(self, request: Request, context: RequestContext, served: ServedModel,
                       completion: TextStream[Any]) -> Response:
        """The response to a request for texts: a stream, or one object."""
        context.cleanup.callback(completion.cancel)
        context.summary = partial(self._count_tokens, served.id, completion)
        if completion.is_stream:
            return EventStream(completion.events(), context.deadline, lambda: self._observe_first_token(context))
        async with cancel_on_disconnect(request.receive, context.deadline):
            whole = await completion.collect()
        return Json(whole)

    def _observe_first_token(self, context: RequestContext) -> None:
        self._metrics.first_token.observe(time.perf_counter() - context.started)

    def _count_tokens(self, model: str, completion: TextStream[Any]) -> str:
        """Counts the tokens of a completion that has ended. Returns words for its line of log."""
        self._metrics.prompt_tokens[model] += completion.prompt_tokens
        self._metrics.completion_tokens[model] += completion.completion_tokens
        warned = "warned  " if completion.warnings else ""
        return f"{model}  {completion.prompt_tokens} + {completion.completion_tokens} tokens  {warned}"

    async def next(self, request: Request) -> Response:
        fields, served, context, _ = await self._read_request(request, NextRequest)
        encoded = encode_prompt(served.lm.tokenizer, fields.prompt or "", "prompt")
        try:
            async with cancel_on_disconnect(request.receive, context.deadline):
                found = await served.scheduler.interleave(served.lm.generator.predict_stepwise(encoded.ids, fields.top))
        except TinyLMError as error:
            raise invalid_setting(error, param="prompt") from None
        warnings = {"warnings": encoded.warnings} if encoded.warnings else {}
        return Json({"model": served.id, "prompt": encoded.text, "ids": encoded.ids,
                     "next": [each._asdict() for each in found], **warnings})

    async def _read_request(self, request: Request,
                            kind: type[RequestT]) -> tuple[RequestT, ServedModel, RequestContext, bool]:
        """The validated request, its model, its context, and whether its body is long.

        Raises:
            ApiError: a body, field or model that cannot be.
        """
        body = await read_body(request)
        is_long = len(body) > MAX_INLINE_BYTES
        fields = await asyncio.to_thread(parse, kind, body) if is_long else parse(kind, body)
        served = await self._registry.get(fields.model)  # type: ignore[attr-defined]
        context = RequestContext.of(request.scope)
        context.cleanup.callback(served.release)
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


def build_app(registry: ModelRegistry, limits: Limits, access: AccessPolicy, log: Callable[[str], None],
              connections: Callable[[], int]) -> ASGIApp:
    """The application with its layers: LoggingMiddleware around AccessMiddleware around the routes.

    Args:
        registry: the models.
        limits: what a request may ask for.
        access: who may ask.
        log: takes a line for each request.
        connections: gives the number of open connections.
    """
    metrics = Metrics()
    api = Api(registry, limits, metrics, connections)
    return LoggingMiddleware(AccessMiddleware(api, access), api.router, log, metrics.observe_request, limits.seconds)
