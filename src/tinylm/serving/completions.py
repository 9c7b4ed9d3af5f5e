"""/v1/completions: from prompts to texts, as one object or as a stream of events."""

from __future__ import annotations

import asyncio
from typing import Any

from tinylm.errors import TinyLMError
from tinylm.generation.completion import TokenLogprobs
from tinylm.lm import LanguageModel
from tinylm.serving.channel import Update
from tinylm.serving.field_errors import invalid_field, invalid_setting
from tinylm.serving.limits import Limits
from tinylm.serving.model_registry import ServedModel
from tinylm.serving.prompts import encode_prompt
from tinylm.serving.request_schemas import CompletionRequest
from tinylm.serving.response_schemas import Choice, SentToken, SentTokens, completion_logprobs
from tinylm.serving.settings import check_scored, read_settings
from tinylm.serving.text_stream import PreparedPrompt, TextStream


def prepare_prompts(lm: LanguageModel, request: CompletionRequest, limits: Limits) -> list[PreparedPrompt]:
    """Prompts with the texts that they want, in the order of the request.

    Raises:
        ApiError: settings that cannot be, or text that the tokenizer does not know; the error names the field.
    """
    settings = read_settings(lm, request, limits)
    if (request.best_of or 1) > (request.n or 1):
        raise invalid_field("best_of", f"these would be more texts than n, which is {request.n or 1}, and the best of "
                                       "more are not chosen here. Ask for n of them and choose")
    prepared = [_prepared(lm, prompt, field, request, settings) for field, prompt in _named_prompts(request.prompt)]
    if request.logprobs is not None:
        check_scored(sum(text_request.config.max_tokens + len(each.given) * bool(request.echo)
                         for each in prepared for text_request in each.texts))
    return prepared


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


class CompletionStream(TextStream[CompletionRequest]):
    """The response to a request for completions."""

    id_prefix, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"

    def __init__(self, served: ServedModel, request: CompletionRequest, prepared: list[PreparedPrompt]) -> None:
        super().__init__(served, request, prepared)
        self._echoed = [not request.echo] * len(self._texts)
        self._scores: list[list[TokenLogprobs]] | None = None

    async def _before_texts(self) -> None:
        """Computes the log-probabilities of the tokens of each prompt, where the request has `echo` and `logprobs`."""
        if not self._request.echo or self._request.logprobs is None:
            return
        scheduler, lm, top = self._served.scheduler, self._served.lm, self._request.logprobs
        works = [scheduler.interleave(lm.generator.score_stepwise(each.ids, top)) for each in self._prepared]
        try:
            self._scores = await asyncio.gather(*works)
        except TinyLMError as error:
            raise invalid_setting(error, param="prompt") from None

    def _before(self, index: int) -> str:
        """The text of the prompt as it precedes a choice; empty unless the request has `echo`."""
        if not self._request.echo:
            return ""
        text = self._prompt_of(index).text
        goes_on = self._served.lm.tokenizer.kind == "word" and self._texts[index].config.max_tokens > 0
        return text + " " if text and goes_on else text

    def _whole(self, update: Update) -> Choice:
        return self._choice(update, self._texts[update.choice].builder.text)

    def _pieces(self, update: Update) -> list[Choice]:
        choice = self._choice(update, update.text)
        has_tokens = choice["logprobs"] is not None and choice["logprobs"]["tokens"]
        return [choice] if choice["text"] or choice["finish_reason"] or has_tokens else []

    def _choice(self, update: Update, text: str) -> Choice:
        """The choice that an update makes, with the prompt before its first piece where that is wanted."""
        index, sent = update.choice, self._count(update, text)
        if not self._echoed[index]:
            self._echoed[index] = True
            text = self._before(index) + text
            sent = self._echoed_tokens(index) + sent
        logprobs = None if self._request.logprobs is None else completion_logprobs(sent)
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": update.finish_reason}

    def _echoed_tokens(self, index: int) -> list[SentToken]:
        """The tokens of the prompt with their log-probabilities; a first token that nothing precedes has none."""
        if self._scores is None:
            return []
        prepared, tokenizer = self._prompt_of(index), self._served.lm.tokenizer
        scores, told = self._scores[self._number_of(index)], SentTokens(tokenizer, 0)
        if len(prepared.given) > len(scores):
            told.push(prepared.given[0], tokenizer.token(prepared.given[0]), None)
        return told.take(scores, prepared.text + " ")

    def _number_of(self, index: int) -> int:
        """The number of the prompt that a text goes on from."""
        return index // (len(self._texts) // len(self._prepared))

    def _prompt_of(self, index: int) -> PreparedPrompt:
        return self._prepared[self._number_of(index)]
