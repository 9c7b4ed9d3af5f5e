"""Section: a frozen group of settings, checked field by field, with values as people spell them and errors in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from tinylm.config.aliases import standard_names
from tinylm.config.spelling import alternatives, as_number, expected, parse_spelling, quote_value
from tinylm.errors import TinyLMError, did_you_mean


class Section(BaseModel):
    """A frozen group of settings. An unknown key is an error that names the nearest known one; a value may be spelled
    as people spell it (spelling.py); a setting may go by its old name (aliases.py)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        values = standard_names(values, type(self).model_fields, _section_name(type(self)))
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _readable(error, type(self), values) from None

    @model_validator(mode="before")  # a validator of each field would take a tenth longer to import
    @classmethod
    def _as_spelled(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: cls._plain(name, value) for name, value in values.items()}

    @classmethod
    def _plain(cls, name: str, value: Any) -> Any:
        if name not in cls.model_fields:
            return value
        try:
            return parse_spelling(cls.model_fields[name].annotation, value)
        except ValueError:
            raise value_error(cls.model_fields[name], value, _where(cls, name)) from None


def _readable(error: ValidationError, section: type[Section], values: Mapping[str, Any]) -> TinyLMError:
    """Pydantic's first complaint as a TinyLMError: the field, what is wrong, and the field that was probably meant."""
    problem = error.errors()[0]
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, TinyLMError):  # of fields that do not go together
        return cause
    name = str(problem["loc"][0]) if problem["loc"] else ""
    where = _where(section, name)
    if problem["type"] == "extra_forbidden":
        return TinyLMError("there is no such setting", where=where, remedy=did_you_mean(name, section.model_fields))
    if problem["type"] == "missing":
        return TinyLMError("this setting is required", where=where)
    if name not in section.model_fields:
        return TinyLMError(problem["msg"], where=where)
    return value_error(section.model_fields[name], values.get(name), where)


FAR_BOUND = 1_000_000
"""Upper bounds from here on are named only in the error for a value beyond them."""


def _section_name(section: type[Section]) -> str:
    return section.__name__.removesuffix("Config").lower()


def _where(section: type[Section], name: str) -> str:
    return f"{_section_name(section)}.{name}".rstrip(".")


def value_error(field: FieldInfo, value: Any, where: str) -> TinyLMError:
    """The error for a value that a field cannot hold: what it may hold, what was given, and a likely remedy."""
    kinds, number = alternatives(field.annotation), as_number(value)
    is_far = number is None or number <= FAR_BOUND  # from the bounds that are limits of the libraries
    bounds = [each for each in field.metadata if not (is_far and getattr(each, "le", 0) >= FAR_BOUND)]
    may_be = expected(field.annotation, bounds)
    known = [name for kind in kinds for name in get_args(kind) if get_origin(kind) is Literal]
    remedy = ""
    if isinstance(value, str) and known:
        remedy = did_you_mean(value.casefold(), known)
    elif isinstance(value, str) and number is None and (int in kinds or float in kinds):
        remedy = _as_a_number(value, whole=float not in kinds)
    return TinyLMError(f"must be {may_be}, but it is {quote_value(value)}", where=where, remedy=remedy)


def _as_a_number(text: str, *, whole: bool) -> str:
    """The remedy for a text that was meant as a number."""
    if re.fullmatch(r"\s*[-+]?\d{1,3}(,\d{3})+\s*", text):
        return f"Write it as {text.strip().replace(',', '_')}"
    if re.fullmatch(r"\s*[-+]?\d+,\d+\s*", text):
        return f"Write it as {text.strip().replace(',', '.')}"
    return f"Write it in figures, such as {'1000 or 1_000' if whole else '0.5 or 1e-3'}"


def checked_value(section: type[Section], name: str, value: Any, where: str) -> Any:
    """Checks the value of one field; returns it as it would stand in a config.

    Args:
        section: the section that has the field.
        where: the name of the field in errors.

    Raises:
        TinyLMError: there is no such field, or it cannot hold the value.
    """
    if name not in section.model_fields:
        raise TinyLMError("there is no such setting", where=where, remedy=did_you_mean(str(name), section.model_fields))
    field = section.model_fields[name]
    try:
        return _validator(section, name).validate_python(parse_spelling(field.annotation, value))
    except ValueError:  # pydantic's is one
        raise value_error(field, value, where) from None


@cache
def _validator(section: type[Section], name: str) -> TypeAdapter[Any]:
    """The validator of a single field."""
    field = section.model_fields[name]
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))


def whole_number(value: Any, where: str, least: int) -> int:
    """Reads a count as people spell it. Raises: TinyLMError: the value is not a whole number of at least `least`."""
    with suppress(ValueError):
        found = parse_spelling(int, value)
        if isinstance(found, int) and found >= least:
            return found
    raise TinyLMError(f"there cannot be {quote_value(value)} of them", where=where,
                      remedy=f"Ask for a whole number of at least {least}")
