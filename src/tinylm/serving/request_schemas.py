"""Schemas of requests: the fields of OpenAI's API that mean something here, and some of this project's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    WrapValidator,
    create_model,
)
from pydantic_core import PydanticCustomError

from tinylm.config.sample_settings import MAX_INT32, MAX_SEED, SampleSettings, Setting, named_settings
from tinylm.serving.field_errors import PATH_KEY, json_type, wrong_type

MAX_PROMPTS, MAX_CHOICES, MAX_STOPS, MAX_LOGPROBS, MAX_TOP_LOGPROBS, MAX_TOP = 64, 16, 4, 5, 20, 1000
MAX_STOP_LENGTH = 500
LARGEST_ID = MAX_INT32 - 1
"""An upper bound that no other field has: the document of a single model replaces it by the size of its vocabulary."""
Role = Literal["system", "developer", "user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)
_PROMPTS = "a string, an array of strings, an array of ids, or an array of such arrays"
Mistake = tuple[list[int], str]
"""A mistake in a value: the path to its place in the value, and a sentence."""


def _located(mistake: Callable[[Any], Mistake]) -> WrapValidator:
    """A validator that gives one sentence about one place in the value, instead of one for each branch of a union."""
    def check(value: Any, inner: Callable[[Any], Any]) -> Any:
        try:
            return inner(value)
        except ValidationError:
            at, said = mistake(value)
        raise PydanticCustomError("misplaced", "{said}", {"said": said, PATH_KEY: at})

    return WrapValidator(check)


def _in_prompt(value: Any) -> Mistake:
    if not isinstance(value, list):
        return [], wrong_type(_PROMPTS, value)
    if value and isinstance(value[0], int) and not isinstance(value[0], bool):
        return _in_ids(value)
    if not 1 <= len(value) <= MAX_PROMPTS:
        return [], f"must be 1 to {MAX_PROMPTS} prompts, and these are {len(value):,}"
    texts = isinstance(value[0], str)
    for index, each in enumerate(value):
        if texts and not isinstance(each, str):
            return [index], f"must be a string, as the first prompt is, and is {json_type(each)}"
        if not texts and not isinstance(each, list):
            return [index], wrong_type("a string, an id, or an array of ids", each) if index == 0 else (
                f"must be an array of ids, as the first prompt is, and is {json_type(each)}")
        if not texts and (mistake := _in_ids(each))[1]:
            return [index, *mistake[0]], mistake[1]
    return [], f"must be {_PROMPTS}"


def _in_one(value: Any) -> Mistake:
    if not isinstance(value, list):
        return [], wrong_type("a string or an array of ids", value)
    if value and isinstance(value[0], list | str):
        return [], "must be one text or the ids of one: several prompts are for /v1/completions"
    return _in_ids(value)


def _in_ids(value: list[Any]) -> Mistake:
    if not value:
        return [], "is an array without ids"
    for index, id in enumerate(value):
        if isinstance(id, bool) or not isinstance(id, int):
            return [index], f"must be an id, which is an integer, and is {json_type(id)}"
        if not 0 <= id <= LARGEST_ID:
            return [index], "is no id of any model: ids begin at 0, and their number is that of the vocabulary"
    return [], ""


def _in_stop(value: Any) -> Mistake:
    if not isinstance(value, list | str):
        return [], wrong_type("a string or an array of strings", value)
    if isinstance(value, list) and len(value) > MAX_STOPS:
        return [], f"must be {MAX_STOPS} strings at most, and these are {len(value):,}"
    for index, each in enumerate(value if isinstance(value, list) else [value]):
        at = [index] if isinstance(value, list) else []
        if not isinstance(each, str):
            return at, wrong_type("a string", each)
        if len(each) > MAX_STOP_LENGTH:
            return at, f"must have {MAX_STOP_LENGTH} characters at most, and has {len(each):,}"
    return [], "must be a string or an array of strings"


def _in_role(value: Any) -> Mistake:
    no_tools = ": these models call no tools" if value in ("tool", "function") else ""
    return [], f"must be {', '.join(ROLES[:-1])} or {ROLES[-1]}{no_tools}"


def _in_content(value: Any) -> Mistake:
    if not isinstance(value, list) or not value:
        return [], "is an array without parts" if value == [] else wrong_type("a string or an array of parts", value)
    wrong = next(number for number, part in enumerate(value) if not _is_text(part))
    return [wrong], 'must be {"type": "text", "text": "..."}: these models read text alone'


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] == "text" and isinstance(
        part["text"], str)


def _in_empty(_: Any) -> Mistake:
    return [], "must be null: these models answer in text alone, and call no tools"


def _off(value: bool) -> bool:
    if value:
        raise ValueError("must be false: it is not offered")
    return value


class _StrictModel(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


Id = Annotated[int, Field(ge=0, le=LARGEST_ID)]
ID_AS_TEXT = r"^(0|[1-9][0-9]{0,9})$"
IdAsText = Annotated[str, StringConstraints(pattern=ID_AS_TEXT)]
Ids = Annotated[list[Id], Field(min_length=1)]
Prompt = Annotated[
    str | Annotated[list[str], Field(min_length=1, max_length=MAX_PROMPTS)] | Ids
    | Annotated[list[Ids], Field(min_length=1, max_length=MAX_PROMPTS)], _located(_in_prompt)]
StopText = Annotated[str, StringConstraints(max_length=MAX_STOP_LENGTH)]
Stop = Annotated[StopText | Annotated[list[StopText], Field(max_length=MAX_STOPS)], _located(_in_stop)]
Model = Annotated[str, Field(min_length=1, max_length=255, description="the name of a model: /v1/models lists them")]
Logprobs = Annotated[Annotated[int, Field(ge=0, le=MAX_LOGPROBS)] | Literal[False] | None,
                     AfterValidator(lambda count: None if count is False else count)]
Off = Annotated[bool, AfterValidator(_off), WithJsonSchema({"const": False})]
Empty = Annotated[Annotated[list[Any], Field(max_length=0)] | None, _located(_in_empty)]
BestOf = Annotated[Annotated[int, Field(ge=1)], WithJsonSchema({"const": 1})]


class TextPart(_StrictModel):
    """A part of a message."""

    type: Literal["text"]
    text: str


class ChatMessage(_StrictModel):
    """A message of a conversation, as OpenAI's clients send it and as they send back what they were answered."""

    role: Annotated[Role, _located(_in_role)] = Field(description="developer: the same as system")
    content: Annotated[str | Annotated[list[TextPart], Field(min_length=1)], _located(_in_content)] = Field(
        description="a text; parts of it are lines")
    name: str | None = Field(None, description="taken, and of no effect")
    refusal: Empty = None
    audio: Empty = None
    annotations: Empty = None
    function_call: Empty = None
    tool_calls: Empty = None


class StreamOptions(_StrictModel):
    include_usage: bool | None = Field(None, description="a last chunk says how many tokens there were")
    include_obfuscation: bool | None = Field(None, description="taken, and of no effect")
    continuous_usage_stats: Off | None = Field(None, description="not offered: the last chunk counts")


class TextRequest(_StrictModel):
    """The fields of a request for texts that OpenAI's API or the protocol shapes. A sampling setting stands here where
    a request says more with it than `SampleConfig` does: -1 or 0 as another word for its default."""

    model: Model
    max_tokens: Annotated[int, Field(ge=-1)] | None = Field(None, description="of each text, at most; -1: as many as "
                                                                              "the server allows")
    ignore_eos: bool | None = Field(None, description="<eos> never comes")
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = Field(None, description="texts for each prompt; text i "
                                                                                     "has the seed + i")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Stop | None = Field(None, description="texts that end the text and are left out of it; an empty one is none")
    seed: Annotated[int, Field(ge=-1, le=MAX_SEED)] | None = Field(None, description="the same gives the same "
                                                                                         "text; -1: another each time")
    do_sample: bool | None = Field(None, description="false: always the likeliest")
    temperature: Annotated[float, Field(ge=0, le=100)] | None = Field(None, description="0: always the likeliest")
    top_p: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="0: always the likeliest; 1: all")
    logit_bias: dict[IdAsText, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, description="added to logits, by id")
    top_k: Annotated[int, Field(ge=-1, le=MAX_INT32)] | None = Field(None, description="0 or -1: all")


NOT_OFFERED = ("overflow", "prefix", "greedy", "banned_tokens", "beams", "length_penalty", "early_stopping")
"""Sampling settings that a request cannot set, or says in another way."""
_AS_IN_OPENAI = {"presence_penalty": Setting(ge=-2, le=2), "frequency_penalty": Setting(ge=-2, le=2),
                 "repetition_penalty": Setting(about="1: none", ge=0.01, le=100)}
"""Settings that have other bounds and descriptions in requests than in `SampleConfig`."""


def setting_fields(table: type = SampleSettings) -> dict[str, Any]:
    """The fields of a request that are sampling settings as they stand, for `create_model`: all settings but those of
    `TextRequest` and those that are not offered. What is null is as in the model's own config.

    Args:
        table: the settings.
    """
    fields: dict[str, Any] = {}
    for name, kind, setting in named_settings(table):
        if name not in TextRequest.model_fields and name not in NOT_OFFERED:
            setting = _AS_IN_OPENAI.get(name, setting)
            fields[name] = (Annotated[kind, setting] | None, Field(None, description=setting.about or None))
    return fields


SETTINGS_AS_THEY_ARE = tuple(setting_fields())
"""Names of the fields of a request that go to the sampler as they are."""


class _CompletionFields(TextRequest):
    """The fields of a request for completions alone."""

    prompt: Prompt | None = Field(None, description="none: a text from nothing. <bos> is put before ids that lack it, "
                                                    "and an <eos> at their end left out")
    best_of: BestOf | None = Field(None, description="1, or anything up to n: the best of more texts than n is not "
                                                     "offered. Ask for n and choose")
    echo: bool | None = Field(None, description="the prompt comes before the text")
    logprobs: Logprobs = Field(None, description="how likely each token was, and so many of the likeliest in its place")


class _ChatFields(TextRequest):
    """The fields of a request for an answer alone."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)] = Field(
        description="one of the system or none, then user and assistant in turns, the user last")
    logprobs: bool | None = Field(None, description="how likely each token was")
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = Field(
        None, description="with logprobs: so many of the likeliest in its place")


if TYPE_CHECKING:
    CompletionRequest = _CompletionFields
    ChatRequest = _ChatFields
else:
    CompletionRequest = create_model(
        "CompletionRequest", __base__=_CompletionFields, __module__=__name__, **setting_fields(),
        __doc__="Texts that go on from prompts. What is not given, or null, is as in the model's own config.")
    ChatRequest = create_model(
        "ChatRequest", __base__=_ChatFields, __module__=__name__, **setting_fields(),
        __doc__="Answers to the last message. What is not given, or null, is as in the model's own config.")


class NextRequest(_StrictModel):
    """A request for the probabilities of the next token."""

    model: Model
    prompt: Annotated[str | Ids, _located(_in_one)] | None = None
    top: Annotated[int, Field(ge=1, le=MAX_TOP)] = Field(5, description="so many tokens, the likeliest first")
