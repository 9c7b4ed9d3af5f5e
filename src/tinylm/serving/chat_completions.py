"""/v1/chat/completions: from messages to answers, as one object or as a stream of events."""

from __future__ import annotations

import re
from typing import Any

from tinylm.errors import TinyLMError
from tinylm.generation.chat import dropped_sentence
from tinylm.http.errors import ApiError
from tinylm.lm import LanguageModel
from tinylm.serving.channel import Update
from tinylm.serving.field_errors import invalid_field, invalid_setting
from tinylm.serving.limits import Limits
from tinylm.serving.model_registry import ServedModel
from tinylm.serving.request_schemas import MAX_LOGPROBS, ChatRequest
from tinylm.serving.response_schemas import ChatChoice, ChatLogprobs, SentToken, chat_logprobs
from tinylm.serving.settings import check_scored, read_settings
from tinylm.serving.text_stream import PreparedPrompt, TextStream
from tinylm.system.untrusted import quoted


def prepare_messages(lm: LanguageModel, model: str, request: ChatRequest, limits: Limits) -> list[PreparedPrompt]:
    """The messages of a request as one prompt, with the answers that it wants.

    Args:
        model: the name of the model, for errors.

    Raises:
        ApiError: a model without a chat format (404), messages out of turn, settings that cannot be, or text that the
            tokenizer does not know; the error names the field.
    """
    if not lm.config.data.chat_format:
        raise ApiError(404, f"The model {quoted(model)!r} has no chat format: it was trained to write on from a text. "
                            "Ask /v1/completions instead, with a prompt", param="model", code="no_chat_format")
    if request.top_logprobs is not None and not request.logprobs:
        raise invalid_field("top_logprobs", "needs 'logprobs' to be true")
    top = (request.top_logprobs or 0) if request.logprobs else None
    messages = [message.model_dump(include={"role", "content"}) for message in request.messages]
    try:
        found = lm.chat.requests(messages, samples=request.n or 1, logprobs=top, **read_settings(lm, request, limits))
    except TinyLMError as error:
        raise _in_messages(error) from None
    if top is not None:
        longest = min(found.requests[0].config.max_tokens, lm.config.model.context_length)
        check_scored(len(found.requests) * longest * max(1, -(-top // MAX_LOGPROBS)))  # more of them are longer
    prompt = found.prompt
    dropped = [dropped_sentence(prompt.n_dropped, lm.config.model.context_length)] if prompt.n_dropped else []
    return [PreparedPrompt(prompt.ids, prompt.ids, "", found.requests, [*found.replaced, *found.unknown, *dropped])]


def _in_messages(error: TinyLMError) -> ApiError:
    """The error of a setting, or of a message by the name that a request has for it: messages.0.content."""
    if error.where.startswith("sample."):
        return invalid_setting(error)
    return invalid_setting(error, param=re.sub(r"\[(\d+)\]", r".\1", error.where) or "messages")


class ChatStream(TextStream[ChatRequest]):
    """The response to a request for answers. A stream says first who speaks, then what, and last why it ended."""

    id_prefix, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def __init__(self, served: ServedModel, request: ChatRequest, prepared: list[PreparedPrompt]) -> None:
        super().__init__(served, request, prepared)
        self._begun: set[int] = set()

    def _whole(self, update: Update) -> ChatChoice:
        text = self._texts[update.choice].builder.text
        return {"index": update.choice, "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": self._logprobs(self._count(update, text)), "finish_reason": update.finish_reason}

    def _pieces(self, update: Update) -> list[dict[str, Any]]:
        sent = self._count(update, update.text)
        pieces: list[tuple[dict[str, Any], ChatLogprobs | None, str | None]] = []
        if update.choice not in self._begun:
            self._begun.add(update.choice)
            pieces.append(({"role": "assistant", "content": "", "refusal": None}, None, None))
        if update.text or sent:
            pieces.append(({"content": update.text}, self._logprobs(sent), None))
        if update.finish_reason:
            pieces.append(({}, None, update.finish_reason))
        return [{"index": update.choice, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
                for delta, logprobs, reason in pieces]

    def _logprobs(self, sent: list[SentToken]) -> ChatLogprobs | None:
        return chat_logprobs(sent, self._served.lm.tokenizer) if self._request.logprobs else None
