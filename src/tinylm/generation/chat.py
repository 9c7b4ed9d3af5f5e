"""Answers in conversations: messages to a prompt, and the text that a chat model writes after it."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinylm.chat.chat_format import ChatFormat, chat_format
from tinylm.chat.conversation import Conversation, Message, read_messages
from tinylm.chat.prompt import ChatPrompt, chat_prompt
from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError, command
from tinylm.generation.completion import Completion, GenerationRequest
from tinylm.generation.generator import NearFormWarning, TextGenerator
from tinylm.text.tokenizer import Tokenizer, UnknownText

Messages = str | Sequence[Mapping[str, Any] | Message]
"""Messages of a conversation; or a text, which is one message of the user."""


@dataclass(frozen=True)
class ChatCompletion(Completion):
    """The answer of a model, with how it came about.

    Attributes:
        n_dropped_turns: questions that the model did not see, nor their answers, since it sees `context_length` tokens
            at once. (`n_dropped` is 0: an answer ends where the context does.)
    """

    n_dropped_turns: int = 0


class AnswerRequests(NamedTuple):
    """A conversation, ready to be answered.

    Attributes:
        prompt: its ids.
        requests: one for each answer that is wanted.
        replaced: what was read in another spelling, in sentences.
        unknown: what was read as `<unk>`, in sentences.
    """

    prompt: ChatPrompt
    requests: list[GenerationRequest]
    replaced: list[str]
    unknown: list[str]


class Chat:
    """Answers of one model: `lm.chat(messages)`, `lm.chat.stream(messages)`, `lm.chat.complete(messages)`.

    An answer ends with the token that ends answers in the model's chat format, or where the context is full. Of a
    conversation that the context does not hold, the oldest questions are left out, each with its answer; the system
    text stays, and so does room for the answer: `max_tokens`, or a quarter of the context if that is less. A last
    question that leaves less by itself has a shorter answer.

    Args:
        generator: of the model.
        format_name: the model's `data.chat_format`; empty: it has none, and does not answer.

    >>> lm = tinylm.load("runs/chat")
    >>> lm.chat("what is 1 + 2 ?", greedy=True)
    '3'
    >>> list(lm.chat.stream("who are you ?", greedy=True))[:2]
    ['a', ' model']
    """

    def __init__(self, generator: TextGenerator, format_name: str) -> None:
        self._generator, self._name = generator, format_name

    def __call__(self, messages: Messages, **settings: Any) -> str:
        """The answer to the last message.

        Args:
            messages: a text, which is one message of the user; or a list of messages as OpenAI's API has them, such as
                {"role": "user", "content": "How are you?"}: one of the system or none, then user and assistant in
                turns.
            settings: fields of `SampleConfig`, as `LanguageModel.generate` takes them, but `overflow`.

        Raises:
            TinyLMError: the model has no chat format; messages out of turn; a last question that is too long by itself;
                or as `LanguageModel.generate`.
        """
        return self.complete(messages, **settings).text

    def stream(self, messages: Messages, **settings: Any) -> Iterator[str]:
        """The answer, a piece for each token as it comes. Arguments and errors: as the call."""
        yield from self.complete_stepwise(messages, **settings)

    def complete(self, messages: Messages, *, logprobs: int | None = None, **settings: Any) -> ChatCompletion:
        """The answer with its ids, its seed, the reason why it ended, and what the model no longer saw.

        Args:
            messages: as the call.
            settings: as the call.
            logprobs: notes the log-probability of each token, and so many of the likeliest alternatives.

        Raises:
            TinyLMError: as the call.

        >>> lm = tinylm.load("runs/chat")
        >>> messages = [{"role": "user", "content": "what is 1 + 1 ?"}]
        >>> answer = lm.chat.complete(messages, greedy=True)
        >>> answer.text, answer.stopped_by
        ('2', 'eos')
        >>> messages += [{"role": "assistant", "content": answer.text}, {"role": "user", "content": "who are you ?"}]
        >>> lm.chat(messages, greedy=True)
        'a model'
        """
        from tinylm.generation.scoring import last

        return last(self.complete_stepwise(messages, logprobs=logprobs, **settings))

    def complete_stepwise(self, messages: Messages, *, logprobs: int | None = None,
                          **settings: Any) -> Generator[str, None, ChatCompletion]:
        """A generator that yields the answer piece by piece, and returns the `ChatCompletion`. Arguments: as
        `complete`."""
        if "samples" in settings:
            raise TinyLMError("a conversation goes on from one answer", where="samples",
                              remedy="Leave it out, and ask again with another seed")
        prompt, (request,), replaced, _ = self.requests(messages, logprobs=logprobs, **settings)
        for each in replaced:
            warnings.warn(each, NearFormWarning, stacklevel=3)
        yield from self._generator.stream_request(request)
        return ChatCompletion(**vars(request.builder.completion()), n_dropped_turns=prompt.n_dropped)

    def requests(self, messages: Messages, *, samples: int = 1, logprobs: int | None = None,
                 **settings: Any) -> AnswerRequests:
        """The prompt of a conversation, and a request for each answer that is wanted, for a batch or
        `TextGenerator.stream_request`. Arguments and errors: as `complete`."""
        form, generator, config = self.form, self._generator, self.sample_config(**settings)
        conversation, replaced, unknown = _read(messages, generator.tokenizer)
        try:
            prompt = chat_prompt(conversation, form, generator.tokenizer, max_tokens=config.max_tokens,
                                 context_length=generator.model.config.context_length)
        except UnknownText as error:  # all messages are known, so it stands between two of them
            raise TinyLMError(f"what parts a system text from the first question is {error.what}",
                              where="messages[0]", remedy="Leave the system text out") from None
        requests = generator.requests_after(prompt.ids, samples=samples, logprobs=logprobs,
                                            **{**settings, "overflow": "error"})
        return AnswerRequests(prompt, requests, replaced, unknown)

    def sample_config(self, **settings: Any) -> SampleConfig:
        """The model's own sampling settings with some of them changed. An answer ends where the context does
        (`overflow` "error"). Raises: TinyLMError: as `LanguageModel.sample_config`; `overflow` is given."""
        if settings.get("overflow") not in (None, "error"):
            raise TinyLMError("is not for conversations: their oldest questions are left out, each with its answer",
                              where="sample.overflow", remedy="Leave it out")
        return self._generator.sample_config(**{**settings, "overflow": "error"})

    @property
    def form(self) -> ChatFormat:
        """The chat format of the model. Raises: TinyLMError: it has none."""
        if not self._name:
            train = command("train", "FILE", "--chat", "--from", "RUN")
            raise TinyLMError("this model has no chat format: it writes on from a text, and does not answer",
                              where="data.chat_format",
                              remedy=f"Make a model that answers of it: {train}; or let it write on, by generate")
        return chat_format(self._name)


def dropped_sentence(count: int, context_length: int) -> str:
    """A sentence about questions that a model no longer sees.

    >>> dropped_sentence(1, 64)
    'The oldest question and its answer were left out: the model sees 64 tokens at once'
    """
    what = "question and its answer" if count == 1 else f"{count:,} questions and their answers"
    return f"The oldest {what} were left out: the model sees {context_length:,} tokens at once"


class _Read(NamedTuple):
    """Messages as the tokenizer reads them, and what was read in another way than it was typed (`AnswerRequests`)."""

    conversation: Conversation
    replaced: list[str]
    unknown: list[str]


def _read(messages: Messages, tokenizer: Tokenizer) -> _Read:
    """Reads messages as a person typed them. Raises: TinyLMError: they are no conversation, or an unknown text."""
    found = _Read([], [], [])
    for number, message in enumerate(read_messages([Message("user", messages)] if isinstance(messages, str)
                                                   else messages)):
        try:
            typed = tokenizer.typed(message.content)
        except TinyLMError as error:
            raise TinyLMError(error.what, where=f"messages[{number}].content", remedy=error.remedy) from None
        found.conversation.append(Message(message.role, typed.text))
        found.replaced.extend(typed.replaced)
        found.unknown.extend(typed.unknown)
    return found
