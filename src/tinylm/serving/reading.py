"""The body of a request: read within bounds, parsed strictly, and held against what may be asked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from tinylm.errors import did_you_mean
from tinylm.serving.errors import ApiError
from tinylm.serving.limits import BODY_BYTES
from tinylm.untrusted import quoted

Asked = TypeVar("Asked", bound=BaseModel)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


async def read_body(request: Request) -> bytes:
    """Raises: ApiError: it is too large, or not called JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, "The body has to be JSON, with the header Content-Type: application/json",
                       code="unsupported_media_type")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiError(415, "The body has to come as it is, without a Content-Encoding", code="unsupported_media_type")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > BODY_BYTES:
        raise _too_large()
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > BODY_BYTES:
            raise _too_large()
    return bytes(data)


def _too_large() -> ApiError:
    return ApiError(413, f"The body may have {BODY_BYTES:,} bytes at most", code="request_too_large")


def parse(kind: type[Asked], body: bytes) -> Asked:
    """Raises: ApiError: no JSON object, or a field that cannot be."""
    values = _json(body)
    if not isinstance(values, dict):
        raise ApiError(400, "The body has to be a JSON object, in braces")
    if _SURROGATE.search(body):
        _check_unicode(values)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _of_field(error, list(kind.model_fields)) from None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_without_doubles, parse_float=_number,
                          parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise ApiError(400, f"The body is not UTF-8: byte {error.start} cannot be") from None
    except RecursionError:
        raise ApiError(400, "The body is nested too deeply") from None
    except ValueError as error:
        raise ApiError(400, f"The body is not valid JSON: {quoted(error)}") from None


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} comes twice")
    return found


def _number(text: str) -> float:
    """A whole number may be written 85.0, which is an integer to JSON Schema."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _check_unicode(values: dict[str, Any]) -> None:
    """JSON can spell half of a surrogate pair, which is no character and has no UTF-8."""
    for name, value in values.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ApiError(400, "The text is not valid Unicode: it holds half of a surrogate pair",
                           param=quoted(name)) from None


def _of_field(error: ValidationError, known: list[str]) -> ApiError:
    """The first thing that is wrong, with the field named."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = [str(part) for part in first["loc"] if not isinstance(part, str) or part.isidentifier()]
    name = quoted(path[0]) if path else None
    if first["type"] == "extra_forbidden":
        name = quoted(first["loc"][-1])
        return ApiError(400, f"There is no field {name!r}. {did_you_mean(name, known)}", param=name,
                        code="unknown_parameter")
    if first["type"] == "missing":
        return ApiError(400, f"The field {name!r} is missing", param=name, code="missing_required_parameter")
    said = quoted(first["msg"].removeprefix("Value error, "))
    return ApiError(400, f"{name}: {said}", param=name, code="invalid_value")
