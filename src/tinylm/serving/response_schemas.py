"""What is answered: the shapes of OpenAI's API, and of our own."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from tinylm.generation.completion import TokenLogprobs
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


class Model(TypedDict):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


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


class LogprobsBuilder:
    """The tokens of a text and where they stand in it, as far as the text itself has been told: a token of which a
    stop text or `<eos>` left nothing is not told of.

    Args:
        offset: where the text begins.
    """

    def __init__(self, tokenizer: Tokenizer, offset: int) -> None:
        self._stream, self._offset, self._told = Detokenizer(tokenizer), offset, offset
        self._held: list[tuple[int, TokenLogprobs | None, str]] = []

    def take(self, scored: list[TokenLogprobs], text: str) -> Logprobs:
        """Those that can be told now. `text`: what is told of the text with them."""
        for each in scored:
            self.push(each.id, each.token, each)
        self._told += len(text)
        ready = [held for held in self._held if held[0] < self._told]
        del self._held[:len(ready)]
        return {"tokens": [token for _, _, token in ready],
                "token_logprobs": [None if each is None else each.logprob for _, each, _ in ready],
                "top_logprobs": [None if each is None else _top(each) for _, each, _ in ready],
                "text_offset": [offset for offset, _, _ in ready]}

    def push(self, id: int, token: str, scored: TokenLogprobs | None) -> None:
        self._held.append((self._offset, scored, token))
        self._offset += len(self._stream.push(id))


def _top(scored: TokenLogprobs) -> dict[str, float]:
    """The likeliest, and the one that was chosen."""
    found: dict[str, float] = {}
    for each in (*scored.top, scored):
        found.setdefault(each.token, each.logprob)
    return found
