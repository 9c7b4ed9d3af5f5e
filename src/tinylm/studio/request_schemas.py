"""Schemas of the studio's requests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_TEXTS, MAX_NAME, MAX_MINUTES = 1000, 200, 7 * 24 * 60.0
Minutes = Annotated[float, Field(gt=0, le=MAX_MINUTES, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RenameRequest(_Request):
    """A new name for a model."""

    name: Name


class PlanRequest(_Request):
    """What a run would do with some texts.

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
