"""/v1/completions: from prompts to texts, as one object or as a stream of events."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NamedTuple

from tinylm.errors import TinyLMError
from tinylm.generation.completion import GenerationRequest, TokenLogprobs
from tinylm.http.errors import ApiError
from tinylm.http.responses import event
from tinylm.lm import LanguageModel
from tinylm.serving.channel import GenerationJob, Update
from tinylm.serving.field_errors import invalid_field, invalid_setting
from tinylm.serving.limits import Limits
from tinylm.serving.model_registry import ServedModel
from tinylm.serving.prompts import encode_prompt
from tinylm.serving.request_schemas import SETTINGS_AS_THEY_ARE, CompletionRequest
from tinylm.serving.response_schemas import Choice, Logprobs, LogprobsBuilder, usage

MAX_SCORED_TOKENS = 1 << 16
"""Most tokens of a request whose log-probabilities are sent."""


class PreparedPrompt(NamedTuple):
    """A prompt, ready to be written on from.

    Attributes:
        given: its ids without a `<bos>` that was put before them.
        ids: its ids as the model reads them.
        text: what the ids say.
        texts: a request for each text that is wanted of it.
        warnings: what was left out of the prompt, in sentences.
    """

    given: list[int]
    ids: list[int]
    text: str
    texts: list[GenerationRequest]
    warnings: list[str]


def prepare_prompts(lm: LanguageModel, request: CompletionRequest, limits: Limits) -> list[PreparedPrompt]:
    """Prompts with the texts that they want, in the order of the request.

    Raises:
        ApiError: settings that cannot be, or text that the tokenizer does not know; the error names the field.
    """
    settings = _settings(lm, request, limits)
    if (request.best_of or 1) > (request.n or 1):
        raise invalid_field("best_of", f"these would be more texts than n, which is {request.n or 1}, and the best of "
                                       "more are not chosen here. Ask for n of them and choose")
    prepared = [_prepared(lm, prompt, field, request, settings) for field, prompt in _named_prompts(request.prompt)]
    if request.logprobs is not None:
        _check_scored(prepared, request)
    return prepared


def _check_scored(prepared: list[PreparedPrompt], request: CompletionRequest) -> None:
    """Bounds the log-probabilities of a response: an object with very many of them would hold the event loop up."""
    count = sum(text_request.config.max_tokens + len(each.given) * bool(request.echo)
                for each in prepared for text_request in each.texts)
    if count > MAX_SCORED_TOKENS:
        raise ApiError(400, f"logprobs: they are told of {MAX_SCORED_TOKENS:,} tokens at most, and these may be "
                            f"{count:,}", param="logprobs", code="invalid_value")


def _named_prompts(given: Any) -> list[tuple[str, str | list[int]]]:
    """The prompts, each with its name in the request."""
    if isinstance(given, list) and not isinstance(given[0], int):
        return [(f"prompt.{index}", prompt) for index, prompt in enumerate(given)]
    return [("prompt", given or "")]


def _prepared(lm: LanguageModel, prompt: str | list[int], field: str, request: CompletionRequest,
           settings: dict[str, Any]) -> PreparedPrompt:
    encoded = encode_prompt(lm.tokenizer, prompt, field)
    try:
        texts = lm.generator.requests(encoded.ids, samples=request.n or 1, logprobs=request.logprobs, **settings)
    except TinyLMError as error:
        raise invalid_setting(error, param=field) from None
    return PreparedPrompt(encoded.given, encoded.ids, encoded.text, texts, encoded.warnings)


def _settings(lm: LanguageModel, request: CompletionRequest, limits: Limits) -> dict[str, Any]:
    """The settings of the request as `LanguageModel.requests` takes them."""
    if (request.max_tokens or 0) > limits.max_tokens:
        raise invalid_field("max_tokens", f"this server writes {limits.max_tokens:,} tokens at most")
    settings = {name: value for name in SETTINGS_AS_THEY_ARE if (value := getattr(request, name)) is not None}
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
        settings["banned_tokens"] = (*lm.config.sample.banned_tokens,
                                     *(f"#{id}" for id in sorted(lm.tokenizer.specials.ends)))
    if request.stop is not None:
        stops = [request.stop] if isinstance(request.stop, str) else request.stop
        settings["stop"] = tuple(stop for stop in stops if stop)
    seed = None if request.seed == -1 else request.seed
    return {**settings, "seed": seed, "beams": 1}  # beam search gives no stream of tokens


def _check_ids(lm: LanguageModel, bias: dict[str, float]) -> None:
    most = lm.tokenizer.vocab_size - 1
    for id in bias:
        if int(id) > most:
            raise invalid_field(f"logit_bias.{id}", f"is no id of this model: they go from 0 to {most}")


class CompletionStream:
    """The response to one request, built as its texts come.

    Args:
        served: the model.
        request: the request.
        prepared: its prompts, each with equally many texts.

    Attributes:
        prompt_tokens: tokens of the prompts, each prompt counted once.
        completion_tokens: new tokens so far.
        warnings: what was left out of the prompts, in sentences.
    """

    def __init__(self, served: ServedModel, request: CompletionRequest, prepared: list[PreparedPrompt]) -> None:
        self._served, self._request, self._prepared = served, request, prepared
        self._texts = [text_request for each in prepared for text_request in each.texts]
        self._per_prompt = len(self._texts) // len(prepared)
        self._head = {"id": f"cmpl-{secrets.token_hex(12)}", "object": "text_completion", "created": int(time.time()),
                      "model": served.id, "system_fingerprint": served.version}
        self.warnings = [*dict.fromkeys(warning for each in prepared for warning in each.warnings)]
        if self.warnings:
            self._head["warnings"] = self.warnings
        self._tokens, self._pending = [0] * len(self._texts), len(self._texts)
        self._job: GenerationJob | None = None
        self.prompt_tokens = sum(len(each.given) for each in prepared)

    @property
    def completion_tokens(self) -> int:
        return sum(self._tokens)

    async def _submit(self) -> None:
        """Submits the job. Raises: ApiError: too many texts wait already (429)."""
        request, scheduler = self._request, self._served.scheduler
        self._scores = await self._score() if request.echo and request.logprobs is not None else None
        self._job = scheduler.submit(self._texts, streams=bool(request.stream))
        offsets = [len(self._echo(index)) for index in range(len(self._texts))]
        tokenizer = self._served.lm.tokenizer
        self._logprobs = [LogprobsBuilder(tokenizer, offset) for offset in offsets]
        self._echoed = [not request.echo] * len(self._texts)

    def cancel(self) -> None:
        """Stops the texts that are still being written."""
        if self._job is not None and self._pending:
            self._served.scheduler.cancel(self._job)

    async def collect(self) -> dict[str, Any]:
        """Waits for all texts. Returns the response as one object."""
        choices: dict[int, Choice] = {}
        async for some in self._choices():
            choices.update((choice["index"], choice) for choice in some)
        return {**self._head, "choices": [choices[index] for index in sorted(choices)],
                "usage": usage(self.prompt_tokens, self.completion_tokens)}

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The response as server-sent events: each item holds none, one or several of them."""
        options = self._request.stream_options
        counts = options is not None and bool(options.include_usage)
        no_usage = {"usage": None} if counts else {}
        async for choices in self._choices():
            yield b"".join(event({**self._head, "choices": [choice], **no_usage}) for choice in choices)
        if counts:
            yield event({**self._head, "choices": [], "usage": usage(self.prompt_tokens, self.completion_tokens)})
        yield b"data: [DONE]\n\n"

    async def _score(self) -> list[list[TokenLogprobs]]:
        """Log-probabilities of the tokens of each prompt."""
        scheduler, lm, top = self._served.scheduler, self._served.lm, self._request.logprobs or 0
        works = [scheduler.interleave(lm.generator.score_stepwise(each.ids, top)) for each in self._prepared]
        try:
            return await asyncio.gather(*works)
        except TinyLMError as error:
            raise invalid_setting(error, param="prompt") from None

    async def _choices(self) -> AsyncIterator[list[Choice]]:
        """Choices with what is new in them, whenever there is something new."""
        await self._submit()
        assert self._job is not None
        while self._pending:
            latest: dict[int, Update] = {}
            for update in await self._job.updates():
                before = latest.get(update.choice)
                latest[update.choice] = update._replace(text=before.text + update.text) if before else update
            yield [choice for update in latest.values() if (choice := self._choice(update)) is not None]

    def _choice(self, update: Update) -> Choice | None:
        """The choice that an update makes; None if it holds nothing new yet."""
        index, is_whole = update.choice, not self._request.stream
        before, self._tokens[index] = self._tokens[index], update.n_tokens
        self._pending -= update.finish_reason is not None
        builder = self._texts[index].builder
        text = builder.text if is_whole else update.text
        logprobs = None
        if self._request.logprobs is not None:
            logprobs = self._logprobs[index].take(builder.logprobs[before:update.n_tokens], text)
        if not self._echoed[index]:
            self._echoed[index] = True
            text = self._echo(index) + text
            logprobs = logprobs and _joined(self._echoed_logprobs(index), logprobs)
        if not (text or update.finish_reason or (logprobs and logprobs["tokens"])):
            return None
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": update.finish_reason}

    def _echo(self, index: int) -> str:
        """The text of the prompt as it precedes a choice; empty unless the request has `echo`."""
        if not self._request.echo:
            return ""
        text = self._prepared[index // self._per_prompt].text
        goes_on = self._served.lm.tokenizer.kind == "word" and self._texts[index].config.max_tokens > 0
        return text + " " if text and goes_on else text

    def _echoed_logprobs(self, index: int) -> Logprobs:
        """Log-probabilities of the prompt's tokens; null for a first token that nothing precedes."""
        number = index // self._per_prompt
        assert self._scores is not None
        prepared, scores, tokenizer = self._prepared[number], self._scores[number], self._served.lm.tokenizer
        told = LogprobsBuilder(tokenizer, 0)
        if len(prepared.given) > len(scores):
            told.push(prepared.given[0], tokenizer.token(prepared.given[0]), None)
        return told.take(scores, prepared.text + " ")


def _joined(first: Logprobs, second: Logprobs) -> Logprobs:
    return {name: [*first[name], *second[name]] for name in first}  # type: ignore[literal-required, return-value]
