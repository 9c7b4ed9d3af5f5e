"""Questions to a model: what it computes on a text, what it copies, and what it writes."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator
from dataclasses import fields
from math import exp
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError
from tinylm.evaluation.memorization import CopiedSpan
from tinylm.generation.completion import CompletionBuilder, GenerationRequest
from tinylm.http.api import Handlers
from tinylm.http.body import read_body
from tinylm.http.request_log import RequestContext
from tinylm.http.responses import Json, LineStream, line
from tinylm.lm import LanguageModel
from tinylm.reports.explain_options import ExplainOptions, plain_data, request_of, sections_of
from tinylm.serving.channel import GenerationJob
from tinylm.serving.field_errors import invalid_field, invalid_setting
from tinylm.serving.limits import Limits
from tinylm.serving.model_registry import ServedModel
from tinylm.serving.prompts import encode_prompt
from tinylm.serving.reading import parse
from tinylm.studio.open_models import OpenModels
from tinylm.studio.request_schemas import CopiedRequest, ExplainRequest, WriteRequest

PAGE_WIDTH = 80
SHOWN_TOKENS = 5
"""Likeliest tokens that are told of each place in a text."""


class Questions:
    """Routes about what a model computes.

    Args:
        models: that are asked.
        limits: of what they write.
    """

    def __init__(self, models: OpenModels, limits: Limits) -> None:
        self._models, self._limits = models, limits

    def handlers(self) -> dict[str, Handlers]:
        return {"/api/models/{id}/explain": {"POST": self.explain}, "/api/models/{id}/copied": {"POST": self.copied},
                "/api/models/{id}/write": {"POST": self.write}}

    async def explain(self, request: Request) -> Response:
        fields = parse(ExplainRequest, await read_body(request))
        return Json(await self._models.ask(request, lambda lm: explained(lm, fields)))

    async def copied(self, request: Request) -> Response:
        text = parse(CopiedRequest, await read_body(request)).text
        spans = await self._models.ask(request, lambda lm: lm.evaluator.copied_spans(text))
        return Json({"spans": [*map(_span, spans)]})

    async def write(self, request: Request) -> Response:
        asked = parse(WriteRequest, await read_body(request))
        served = await self._models.get(request)
        job = self._job(served, asked)
        context = RequestContext.of(request.scope)
        context.cleanup.callback(served.scheduler.cancel, job)
        return LineStream(_lines(job), context.deadline, lambda: None)

    def _job(self, served: ServedModel, asked: WriteRequest) -> GenerationJob:
        """Raises: ApiError: a prompt or a setting that cannot be, or too many texts are written already."""
        if unknown := sorted(asked.settings.keys() - SampleConfig.model_fields):
            raise invalid_field(f"settings.{unknown[0]}", "there is no such setting")
        try:
            requests = _requests(served.lm, asked, {**asked.settings, "seed": asked.seed, "beams": 1})
        except TinyLMError as error:
            raise invalid_setting(error, param="prompt") from None
        if requests[0].config.max_tokens > self._limits.max_tokens:
            raise invalid_field("max_tokens", f"the studio writes {self._limits.max_tokens:,} tokens at most")
        return served.scheduler.submit(requests, streams=True)


def _requests(lm: LanguageModel, asked: WriteRequest, settings: dict[str, Any]) -> list[GenerationRequest]:
    if asked.messages is not None:
        messages = [message.model_dump() for message in asked.messages]
        return lm.chat.requests(messages, logprobs=SHOWN_TOKENS, **settings).requests
    prompt = encode_prompt(lm.tokenizer, asked.prompt if asked.ids is None else asked.ids, "prompt")
    return lm.generator.requests(prompt.ids, logprobs=SHOWN_TOKENS, **settings)


def explained(lm: LanguageModel, asked: ExplainRequest) -> dict[str, Any]:
    """An explanation, as `tinylm explain --json` prints it, and notes on what is missing in it.

    Raises:
        TinyLMError: a text or an option that does not fit the model.
    """
    from tinylm.reports.explain_sections import SECTIONS

    notes: list[str] = []
    options = ExplainOptions(**{field.name: getattr(asked, field.name) for field in fields(ExplainOptions)})
    shown = sections_of(options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a text is read in another spelling; its tokens show it
        found = request_of(lm, options, asked.text if asked.ids is None else asked.ids, asked.patch, width=PAGE_WIDTH,
                           note=notes.append)
    data = {name: SECTIONS[name].data(found) for name in shown}
    return {**plain_data(found, asked.text, data), "notes": notes}


def _span(span: CopiedSpan) -> dict[str, Any]:
    return {"start": span.start, "end": span.end, "source": span.where.file.replace("\\\\", "/").rpartition("/")[2],
            "line": span.where.line, "text": span.where.text}


async def _lines(job: GenerationJob) -> AsyncGenerator[bytes, None]:
    """The lines of a text that is written, one for each piece; the last line says why it has ended."""
    builder: CompletionBuilder = job.requests[0].builder
    before, is_over = 0, False
    while not is_over:
        lines = []
        for update in await job.updates():
            new = builder.logprobs[before:update.n_tokens]
            before, is_over = update.n_tokens, update.finish_reason is not None
            lines.append(line({"text": update.text, "ids": [each.id for each in new],
                               "probabilities": [exp(each.logprob) for each in new],
                               "next": [[{"id": best.id, "token": best.token, "probability": exp(best.logprob)}
                                         for best in each.top] for each in new]}))
            if is_over:
                lines.append(line({"stopped_by": update.finish_reason}))
        yield b"".join(lines)  # at once: a client that has left is noticed between two pieces
