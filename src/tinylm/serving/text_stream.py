"""The response to a request for texts, built as they come: one object, or a stream of events."""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from tinylm.generation.completion import GenerationRequest
from tinylm.http.responses import event
from tinylm.serving.channel import GenerationJob, Update
from tinylm.serving.model_registry import ServedModel
from tinylm.serving.request_schemas import TextRequest
from tinylm.serving.response_schemas import SentToken, SentTokens, usage

RequestT = TypeVar("RequestT", bound=TextRequest)


class PreparedPrompt(NamedTuple):
    """A prompt, ready to be written on from.

    Attributes:
        given: its ids as `usage` counts them: of a completion, without a `<bos>` that was put before them.
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


class TextStream(ABC, Generic[RequestT]):
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

    id_prefix: ClassVar[str]
    whole_object: ClassVar[str]
    chunk_object: ClassVar[str]

    def __init__(self, served: ServedModel, request: RequestT, prepared: list[PreparedPrompt]) -> None:
        self._served, self._request, self._prepared = served, request, prepared
        self._texts = [text_request for each in prepared for text_request in each.texts]
        self._head = {"id": f"{self.id_prefix}-{secrets.token_hex(12)}",
                      "object": self.chunk_object if self.is_stream else self.whole_object,
                      "created": int(time.time()), "model": served.id, "system_fingerprint": served.version}
        self.warnings = [*dict.fromkeys(warning for each in prepared for warning in each.warnings)]
        if self.warnings:
            self._head["warnings"] = self.warnings
        self._tokens, self._pending = [0] * len(self._texts), len(self._texts)
        self._job: GenerationJob | None = None
        self._sent = [SentTokens(served.lm.tokenizer, len(self._before(index))) for index in range(len(self._texts))]
        self.prompt_tokens = sum(len(each.given) for each in prepared)

    @property
    def is_stream(self) -> bool:
        return bool(self._request.stream)

    @property
    def completion_tokens(self) -> int:
        return sum(self._tokens)

    def cancel(self) -> None:
        """Stops the texts that are still being written."""
        if self._job is not None and self._pending:
            self._served.scheduler.cancel(self._job)

    async def collect(self) -> dict[str, Any]:
        """Waits for all texts. Returns the response as one object."""
        choices: dict[int, Any] = {}
        async for updates in self._updates():
            choices |= {update.choice: self._whole(update) for update in updates}
        return {**self._head, "choices": [choices[index] for index in sorted(choices)],
                "usage": usage(self.prompt_tokens, self.completion_tokens)}

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The response as server-sent events: each item holds none, one or several of them."""
        options = self._request.stream_options
        counts = options is not None and bool(options.include_usage)
        no_usage = {"usage": None} if counts else {}
        async for updates in self._updates():
            choices = [choice for update in updates for choice in self._pieces(update)]
            yield b"".join(event({**self._head, "choices": [choice], **no_usage}) for choice in choices)
        if counts:
            yield event({**self._head, "choices": [], "usage": usage(self.prompt_tokens, self.completion_tokens)})
        yield b"data: [DONE]\n\n"

    async def _updates(self) -> AsyncIterator[list[Update]]:
        """Updates whenever there are some, one for each text that has come on."""
        await self._before_texts()
        self._job = self._served.scheduler.submit(self._texts, streams=self.is_stream)
        while self._pending:
            latest: dict[int, Update] = {}
            for update in await self._job.updates():
                before = latest.get(update.choice)
                latest[update.choice] = update._replace(text=before.text + update.text) if before else update
            self._pending -= sum(update.finish_reason is not None for update in latest.values())
            yield [*latest.values()]

    def _count(self, update: Update, text: str) -> list[SentToken]:
        """Counts the new tokens of a text. Returns those that are sent with this piece of it, where they are scored."""
        index, before = update.choice, self._tokens[update.choice]
        self._tokens[index] = update.n_tokens
        return self._sent[index].take(self._texts[index].builder.logprobs[before:update.n_tokens], text)

    # ---- how a kind of response differs from the others

    async def _before_texts(self) -> None:
        """Does what comes before the texts."""

    def _before(self, index: int) -> str:
        """The text that stands before a new one in the response."""
        del index
        return ""

    @abstractmethod
    def _whole(self, update: Update) -> Any:
        """The choice of a text that has ended."""

    @abstractmethod
    def _pieces(self, update: Update) -> list[Any]:
        """The choices of a stream's chunks for a text that has come on; none where it holds nothing new yet."""
