"""Requests from bodies: a JSON object, its foreign fields translated, validated against a schema."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tinylm.http.body import parse_object
from tinylm.serving import foreign_fields
from tinylm.serving.field_errors import from_validation_error
from tinylm.serving.request_schemas import CompletionRequest

RequestT = TypeVar("RequestT", bound=BaseModel)


def parse(kind: type[RequestT], body: bytes) -> RequestT:
    """The request that a body holds.

    Args:
        kind: the schema. Fields of other servers are translated for `CompletionRequest` alone.

    Raises:
        ApiError: the body is no JSON object, or a field of it is wrong; the error names the field.

    >>> from tinylm.serving.request_schemas import NextRequest
    >>> parse(NextRequest, b'{"model": "book", "prompt": "It was"}').top
    5
    """
    values = parse_object(body)
    names: dict[str, str] = {}
    known = [*kind.model_fields]
    if issubclass(kind, CompletionRequest):
        values, names = foreign_fields.translate(values)
        known += foreign_fields.NAMES
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise from_validation_error(kind, error, values, names, known) from None
