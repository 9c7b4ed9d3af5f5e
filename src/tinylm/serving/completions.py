"""/v1/completions: prompts to texts, whole or as a stream."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NamedTuple

from tinylm.errors import TinyLMError
from tinylm.generation.completion import GenerationRequest, TokenLogprobs
from tinylm.http.errors import ApiError, of_settings
from tinylm.http.limits import Limits
from tinylm.http.responses import event
from tinylm.lm import LanguageModel
from tinylm.serving.channel import News, Order
from tinylm.serving.field_errors import wrong
from tinylm.serving.model_registry import Served
from tinylm.serving.prompts import begin
from tinylm.serving.request_schemas import CompletionRequest
from tinylm.serving.response_schemas import Choice, Logprobs, LogprobsOfText, usage

MOST_SCORED = 1 << 16
"""Tokens of a request whose probabilities are told."""
_AS_THEY_ARE = ("min_tokens", "presence_penalty", "frequency_penalty", "min_p", "typical_p", "repetition_penalty")


class Asked(NamedTuple):
    """A prompt: its ids without a `<bos>` that was put before them, and as the model reads them; its text; the texts
    that it wants; what was left out of it, in words."""

    given: list[int]
    ids: list[int]
    text: str
    tasks: list[GenerationRequest]
    warnings: list[str]


def prepare(lm: LanguageModel, request: CompletionRequest, limits: Limits) -> list[Asked]:
    """Raises: ApiError: settings that cannot be, or what the tokenizer does not know."""
    settings = _settings(lm, request, limits)
    if (request.best_of or 1) > (request.n or 1):
        raise wrong("best_of", f"these would be more texts than n, which is {request.n or 1}, and the best of more are "
                               "not chosen here. Ask for n of them and choose")
    asked = [_asked(lm, prompt, field, request, settings) for field, prompt in _prompts(request.prompt)]
    if request.logprobs is not None:
        _check_scored(asked, request)
    return asked


def _check_scored(asked: list[Asked], request: CompletionRequest) -> None:
    """An answer is one object, and one with the probabilities of very many tokens would keep everybody waiting."""
    count = sum(task.config.max_tokens + len(each.given) * bool(request.echo) for each in asked for task in each.tasks)
    if count > MOST_SCORED:
        raise ApiError(400, f"logprobs: they are told of {MOST_SCORED:,} tokens at most, and these may be {count:,}",
                       param="logprobs", code="invalid_value")


def _prompts(given: Any) -> list[tuple[str, str | list[int]]]:
    """The prompts, each with its name in the request."""
    if isinstance(given, list) and not isinstance(given[0], int):
        return [(f"prompt.{place}", prompt) for place, prompt in enumerate(given)]
    return [("prompt", given or "")]


def _asked(lm: LanguageModel, prompt: str | list[int], field: str, request: CompletionRequest,
           settings: dict[str, Any]) -> Asked:
    begun = begin(lm.tokenizer, prompt, field)
    try:
        tasks = lm.generator.requests(begun.ids, samples=request.n or 1, logprobs=request.logprobs, **settings)
    except TinyLMError as error:
        raise of_settings(error, param=field) from None
    return Asked(begun.given, begun.ids, begun.text, tasks, begun.warnings)


def _settings(lm: LanguageModel, request: CompletionRequest, limits: Limits) -> dict[str, Any]:
    """Settings for `LanguageModel.requests`."""
    if (request.max_tokens or 0) > limits.max_tokens:
        raise wrong("max_tokens", f"this server writes {limits.max_tokens:,} tokens at most")
    settings = {name: value for name in _AS_THEY_ARE if (value := getattr(request, name)) is not None}
    wanted = lm.config.sample.max_tokens if request.max_tokens is None else request.max_tokens
    settings["max_tokens"] = limits.max_tokens if wanted == -1 else min(wanted, limits.max_tokens)
    if request.top_k is not None:
        settings["top_k"] = max(0, request.top_k)
    if request.top_p:
        settings["top_p"] = request.top_p
    if request.temperature is not None:
        settings["greedy"] = request.temperature == 0
        settings.update({"temperature": request.temperature} if request.temperature else {})
    if request.top_p == 0 or request.do_sample is False:
        settings["greedy"] = True
    if request.logit_bias:
        settings["logit_bias"] = {f"#{id}": number for id, number in request.logit_bias.items()}
        _check_ids(lm, request.logit_bias)
    if request.ignore_eos:
        settings["ban"] = (*lm.config.sample.ban, f"#{lm.tokenizer.eos_id}")
    if request.stop is not None:
        stops = [request.stop] if isinstance(request.stop, str) else request.stop
        settings["stop"] = tuple(stop for stop in stops if stop)
    seed = None if request.seed == -1 else request.seed
    return {**settings, "seed": seed, "beams": 1}  # beams are no stream of tokens


def _check_ids(lm: LanguageModel, bias: dict[str, float]) -> None:
    most = lm.tokenizer.vocab_size - 1
    for id in bias:
        if int(id) > most:
            raise wrong(f"logit_bias.{id}", f"is no id of this model: they go from 0 to {most}")


class Answer:
    """What one request is answered, as its texts come.

    Args:
        asked: the prompts, each with as many tasks.

    Attributes:
        prompt_tokens, completion_tokens: so far; each prompt is counted once.
        warnings: what was left out of the prompts, in sentences.
    """

    def __init__(self, served: Served, request: CompletionRequest, asked: list[Asked]) -> None:
        self._served, self._request, self._asked = served, request, asked
        self._tasks = [task for each in asked for task in each.tasks]
        self._per_prompt = len(self._tasks) // len(asked)
        self._head = {"id": f"cmpl-{secrets.token_hex(12)}", "object": "text_completion", "created": int(time.time()),
                      "model": served.id, "system_fingerprint": served.version}
        self.warnings = [*dict.fromkeys(warning for each in asked for warning in each.warnings)]
        if self.warnings:
            self._head["warnings"] = self.warnings
        self._tokens, self._pending = [0] * len(self._tasks), len(self._tasks)
        self._order: Order | None = None
        self.prompt_tokens = sum(len(each.given) for each in asked)

    @property
    def completion_tokens(self) -> int:
        return sum(self._tokens)

    async def _begin(self) -> None:
        """Raises: ApiError: there is no room for it."""
        request, scheduler = self._request, self._served.scheduler
        self._scores = await self._score() if request.echo and request.logprobs is not None else None
        self._order = scheduler.submit(self._tasks, streams=bool(request.stream))
        offsets = [len(self._echo(place)) for place in range(len(self._tasks))]
        tokenizer = self._served.lm.tokenizer
        self._logprobs = [LogprobsOfText(tokenizer, offset) for offset in offsets]
        self._echoed = [not request.echo] * len(self._tasks)

    def call_off(self) -> None:
        if self._order is not None and self._pending:
            self._served.scheduler.call_off(self._order)

    async def whole(self) -> dict[str, Any]:
        """All of it as one object."""
        choices: dict[int, Choice] = {}
        async for some in self._choices():
            choices.update((choice["index"], choice) for choice in some)
        return {**self._head, "choices": [choices[place] for place in sorted(choices)],
                "usage": usage(self.prompt_tokens, self.completion_tokens)}

    async def events(self) -> AsyncGenerator[bytes, None]:
        """As server-sent events, one or more at a time, or none."""
        options = self._request.stream_options
        counts = options is not None and bool(options.include_usage)
        no_usage = {"usage": None} if counts else {}
        async for choices in self._choices():
            yield b"".join(event({**self._head, "choices": [choice], **no_usage}) for choice in choices)
        if counts:
            yield event({**self._head, "choices": [], "usage": usage(self.prompt_tokens, self.completion_tokens)})
        yield b"data: [DONE]\n\n"

    async def _score(self) -> list[list[TokenLogprobs]]:
        """How likely the tokens of each prompt were."""
        scheduler, lm, top = self._served.scheduler, self._served.lm, self._request.logprobs or 0
        works = [scheduler.share(lm.generator.score_stepwise(each.ids, top)) for each in self._asked]
        try:
            return await asyncio.gather(*works)
        except TinyLMError as error:
            raise of_settings(error, param="prompt") from None

    async def _choices(self) -> AsyncIterator[list[Choice]]:
        """What can be told of the texts, whenever there is something new."""
        await self._begin()
        assert self._order is not None
        while self._pending:
            latest: dict[int, News] = {}
            for news in await self._order.news():
                before = latest.get(news.place)
                latest[news.place] = news._replace(text=before.text + news.text) if before else news
            yield [choice for news in latest.values() if (choice := self._choice(news)) is not None]

    def _choice(self, news: News) -> Choice | None:
        """None, if there is nothing to tell of it yet."""
        place, is_whole = news.place, not self._request.stream
        before, self._tokens[place] = self._tokens[place], news.tokens
        self._pending -= news.ended is not None
        writer = self._tasks[place].builder
        text = writer.text if is_whole else news.text
        logprobs = None
        if self._request.logprobs is not None:
            logprobs = self._logprobs[place].take(writer.logprobs[before:news.tokens], text)
        if not self._echoed[place]:
            self._echoed[place] = True
            text = self._echo(place) + text
            logprobs = logprobs and _joined(self._echoed_logprobs(place), logprobs)
        if not (text or news.ended or (logprobs and logprobs["tokens"])):
            return None
        return {"index": place, "text": text, "logprobs": logprobs, "finish_reason": news.ended}

    def _echo(self, place: int) -> str:
        """The prompt as it stands before its text."""
        if not self._request.echo:
            return ""
        text = self._asked[place // self._per_prompt].text
        goes_on = self._served.lm.tokenizer.kind == "word" and self._tasks[place].config.max_tokens > 0
        return text + " " if text and goes_on else text

    def _echoed_logprobs(self, place: int) -> Logprobs:
        """Of the prompt's tokens; what a text begins with cannot be told how likely it was."""
        number = place // self._per_prompt
        assert self._scores is not None
        asked, scores, tokenizer = self._asked[number], self._scores[number], self._served.lm.tokenizer
        told = LogprobsOfText(tokenizer, 0)
        if len(asked.given) > len(scores):
            told.push(asked.given[0], tokenizer.token(asked.given[0]), None)
        return told.take(scores, asked.text + " ")


def _joined(first: Logprobs, second: Logprobs) -> Logprobs:
    return {name: [*first[name], *second[name]] for name in first}  # type: ignore[literal-required, return-value]
