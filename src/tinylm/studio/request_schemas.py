"""Schemas of the studio's requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tinylm.config.sample_settings import MAX_INT32, MAX_SEED

MAX_TEXTS, MAX_NAME, MAX_MINUTES = 1000, 200, 7 * 24 * 60.0
MAX_CHARACTERS, MAX_IDS, MAX_TOP, MAX_MESSAGES = 100_000, 100_000, 100, 1000
Minutes = Annotated[float, Field(gt=0, le=MAX_MINUTES, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]

Ids = Annotated[list[Annotated[int, Field(ge=0, le=MAX_INT32 - 1)]], Field(min_length=1, max_length=MAX_IDS)]
Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RenameRequest(_Request):
    """A new name for a model."""

    name: Name


class PlanRequest(_Request):
    """A plan of a run on some texts.

    Attributes:
        texts: their keys, in the order in which they are read.
        minutes: of the whole run.
    """

    texts: Annotated[list[str], Field(min_length=1, max_length=MAX_TEXTS)]
    minutes: Minutes
    name: str | None = None


class RunRequest(PlanRequest):
    """A run into the folder of that name."""

    name: Name


class ResumeRequest(_Request):
    """A run goes on. `minutes`: of the whole run from its beginning; None: as was planned."""

    minutes: Minutes | None = None


class ExportRequest(_Request):
    """An export. `dtype`: None: what the format is mostly used with."""

    to: str
    dtype: Literal["f32", "f16", "q8_0"] | None = None


class ExplainRequest(_Request):
    """An explanation of a text, or of ids; the other fields are the options of `tinylm explain` (ExplainOptions)."""

    text: Text = ""
    ids: Ids | None = None
    head: str | None = None
    token: str | None = None
    against: str | None = None
    position: int = -1
    off: str | None = None
    mean: bool = False
    patch: Text | None = None
    at: str | None = None
    step: bool = False
    weight: str | None = None
    show: str | None = None
    top: Annotated[int, Field(ge=1, le=MAX_TOP)] = 3


class CopiedRequest(_Request):
    """A text, of which the parts are looked for that stand in the training text."""

    text: Text


class SaidMessage(_Request):
    """A message of a conversation (chat/conversation.py)."""

    role: Literal["system", "user", "assistant"]
    content: Text


class WriteRequest(_Request):
    """A text that goes on from a prompt, or from ids; or the answer to messages.

    Attributes:
        settings: fields of `SampleConfig`.
        seed: None: another one each time.
    """

    prompt: Text = ""
    ids: Ids | None = None
    messages: Annotated[list[SaidMessage], Field(min_length=1, max_length=MAX_MESSAGES)] | None = None
    settings: dict[str, Any] = {}
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
