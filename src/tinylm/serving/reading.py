"""Requests from bodies: a JSON object, its foreign fields translated, validated against a schema."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tinylm.http.body import parse_object
from tinylm.serving import foreign_fields
from tinylm.serving.field_errors import from_validation_error
from tinylm.serving.request_schemas import ChatRequest, CompletionRequest

RequestT = TypeVar("RequestT", bound=BaseModel)
TEXT_REQUESTS: dict[type[BaseModel], dict[str, foreign_fields.Fixed]] = {
    CompletionRequest: foreign_fields.FIXED, ChatRequest: foreign_fields.FIXED | foreign_fields.CHAT_FIXED}
"""Requests for texts, and the fields of other servers that each takes with some values."""


def parse(kind: type[RequestT], body: bytes) -> RequestT:
    """The request that a body holds.

    Args:
        kind: the schema. Fields of other servers are translated for requests for texts.

    Raises:
        ApiError: the body is no JSON object, or a field of it is wrong; the error names the field.

    >>> from tinylm.serving.request_schemas import NextRequest
    >>> parse(NextRequest, b'{"model": "book", "prompt": "It was"}').top
    5
    """
    values = parse_object(body)
    names: dict[str, str] = {}
    known = [*kind.model_fields]
    if (fixed := TEXT_REQUESTS.get(kind)) is not None:
        values, names = foreign_fields.translate(values, fixed)
        known += [*foreign_fields.NAMES, *fixed]
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise from_validation_error(kind, error, values, names, known) from None
