"""What may be asked: the fields of OpenAI's API as far as they mean something here, and some of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WrapValidator

from tinylm.config import LARGEST, LARGEST_SEED

MOST_PROMPTS, MOST_CHOICES, MOST_STOPS, MOST_LOGPROBS, MOST_TOP = 64, 16, 4, 5, 1000


def _said(message: str) -> WrapValidator:
    """One sentence in place of what each branch of a union has to say."""
    def check(value: Any, inner: Callable[[Any], Any]) -> Any:
        try:
            return inner(value)
        except ValidationError:
            raise ValueError(message) from None

    return WrapValidator(check)


class _Asked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


LARGEST_ID = LARGEST - 1
"""What no other bound is: where a model is known, it is replaced by its own."""
Id = Annotated[int, Field(ge=0, le=LARGEST_ID)]
ID_AS_TEXT = r"^(0|[1-9][0-9]{0,9})$"
IdAsText = Annotated[str, StringConstraints(pattern=ID_AS_TEXT)]
Ids = Annotated[list[Id], Field(min_length=1)]
Prompt = Annotated[
    str | Annotated[list[str], Field(min_length=1, max_length=MOST_PROMPTS)] | Ids
    | Annotated[list[Ids], Field(min_length=1, max_length=MOST_PROMPTS)],
    _said(f"should be a text, a list of texts, a list of ids, or a list of such lists; of ids, none below 0; at most "
          f"{MOST_PROMPTS} prompts, and no empty list")]
Stop = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Model = Annotated[str, Field(min_length=1, max_length=255, description="the name of a model: /v1/models lists them")]


class StreamOptions(_Asked):
    include_usage: bool | None = Field(None, description="a last chunk says how many tokens there were")
    include_obfuscation: bool | None = Field(None, description="taken, and of no effect")


class CompletionRequest(_Asked):
    """Texts that go on from prompts. What is not given is as in the model's own config."""

    model: Model
    prompt: Prompt | None = Field(None, description="none: a text from nothing. <bos> is put before ids that lack it")
    max_tokens: Annotated[int, Field(ge=0)] | None = Field(None, description="of each text, at most")
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = Field(None, description="texts for each prompt; text i "
                                                                                     "has the seed + i")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    echo: bool | None = Field(None, description="the prompt comes before the text")
    logprobs: Annotated[int, Field(ge=0, le=MOST_LOGPROBS)] | None = Field(
        None, description="how likely each token was, and so many of the likeliest in its place")
    stop: Annotated[Stop | Annotated[list[Stop], Field(max_length=MOST_STOPS)],
                    _said(f"should be a text or at most {MOST_STOPS} texts, each of 1 to 500 characters")] | None = None
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = Field(None, description="the same gives the same text")
    temperature: Annotated[float, Field(ge=0, le=100)] | None = Field(None, description="0: always the likeliest")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[IdAsText, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, description="added to logits, by id")
    top_k: Annotated[int, Field(ge=0, le=LARGEST)] | None = Field(None, description="0: all")
    min_p: Annotated[float, Field(ge=0, lt=1)] | None = None
    typical_p: Annotated[float, Field(gt=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = Field(None, description="1: none")
    best_of: Literal[1] | None = Field(None, description="not offered: ask for n and choose")
    suffix: None = Field(None, description="not offered: these models write on, and do not fill in")
    user: str | None = Field(None, description="taken, and of no effect")


class NextRequest(_Asked):
    """What may come next, and how likely."""

    model: Model
    prompt: Annotated[str | Ids, _said("should be a text or a list of ids, none below 0")] | None = None
    top: Annotated[int, Field(ge=1, le=MOST_TOP)] = Field(5, description="so many tokens, the likeliest first")


class ChatRequest(BaseModel):
    """As in OpenAI's API. No model here has a chat format yet, so only the name of the model is looked at."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: Model
    messages: list[Any]
