"""Schemas of responses: the shapes of OpenAI's API, and some of this project's own."""

from __future__ import annotations

from typing import Literal, NamedTuple, NotRequired

from typing_extensions import TypedDict

from tinylm.generation.completion import Logprob, TokenLogprobs
from tinylm.generation.detokenizer import Detokenizer
from tinylm.text.tokenizer import Tokenizer


class Usage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Logprobs(TypedDict):
    """A list for each of four things; all four are as long."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class Choice(TypedDict):
    index: int
    text: str
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length"] | None


class Completion(TypedDict):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage
    warnings: NotRequired[list[str]]


class TokenLogprob(TypedDict):
    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprob(TokenLogprob):
    top_logprobs: list[TokenLogprob]


class ChatLogprobs(TypedDict):
    content: list[ChatTokenLogprob]
    refusal: None


class ChatMessage(TypedDict):
    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(TypedDict):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop", "length"] | None


class ChatCompletion(TypedDict):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage
    warnings: NotRequired[list[str]]


class Model(TypedDict):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    capabilities: list[Literal["completion", "chat"]]


class Models(TypedDict):
    object: Literal["list"]
    data: list[Model]


class Token(TypedDict):
    id: int
    token: str
    probability: float


class Next(TypedDict):
    model: str
    prompt: str
    ids: list[int]
    next: list[Token]
    warnings: NotRequired[list[str]]


class ErrorBody(TypedDict):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(TypedDict):
    error: ErrorBody


class Health(TypedDict):
    status: Literal["ok"]


def usage(prompt: int, completion: int) -> Usage:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class SentToken(NamedTuple):
    """A token of a text that is sent: the number of characters before it, its text, and its log-probability and those
    of the likeliest; None where they are not known."""

    offset: int
    token: str
    scored: TokenLogprobs | None


class SentTokens:
    """The tokens of a text that comes in pieces. A token is sent once the text before it has been sent; a token of
    which a stop text or `<eos>` left nothing is never sent.

    Args:
        tokenizer: the model's.
        offset: the number of characters before the text.
    """

    def __init__(self, tokenizer: Tokenizer, offset: int) -> None:
        self._stream, self._offset, self._n_sent = Detokenizer(tokenizer), offset, offset
        self._held: list[SentToken] = []

    def take(self, scored: list[TokenLogprobs], text: str) -> list[SentToken]:
        """The tokens that can be sent now.

        Args:
            scored: the new tokens.
            text: the piece of the text that is sent with them.
        """
        for each in scored:
            self.push(each.id, each.token, each)
        self._n_sent += len(text)
        ready = [held for held in self._held if held.offset < self._n_sent]
        del self._held[:len(ready)]
        return ready

    def push(self, id: int, token: str, scored: TokenLogprobs | None) -> None:
        """Adds a token; `scored`: None where its probability is not known."""
        self._held.append(SentToken(self._offset, token, scored))
        self._offset += len(self._stream.push(id))


def completion_logprobs(sent: list[SentToken]) -> Logprobs:
    """The log-probabilities of tokens, as responses of completions have them."""
    return {"tokens": [token for _, token, _ in sent],
            "token_logprobs": [None if scored is None else scored.logprob for _, _, scored in sent],
            "top_logprobs": [None if scored is None else _top(scored) for _, _, scored in sent],
            "text_offset": [offset for offset, _, _ in sent]}


def chat_logprobs(sent: list[SentToken], tokenizer: Tokenizer) -> ChatLogprobs:
    """The log-probabilities of tokens, as responses of chats have them."""
    def told(scored: Logprob) -> TokenLogprob:
        return {"token": scored.token, "logprob": scored.logprob, "bytes": [*tokenizer.token_bytes(scored.id)]}

    return {"content": [{**told(scored), "top_logprobs": [*map(told, scored.top)]} for _, _, scored in sent if scored],
            "refusal": None}


def _top(scored: TokenLogprobs) -> dict[str, float]:
    """Log-probabilities of the likeliest tokens and of the chosen one, by token."""
    found: dict[str, float] = {}
    for each in (*scored.top, scored):
        found.setdefault(each.token, each.logprob)
    return found
