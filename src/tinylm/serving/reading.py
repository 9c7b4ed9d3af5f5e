"""The body of a request: read within bounds, parsed strictly, and held against what may be asked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from tinylm.http.errors import ApiError
from tinylm.http.limits import BODY_BYTES
from tinylm.serving import foreign_fields
from tinylm.serving.field_errors import refused
from tinylm.serving.request_schemas import CompletionRequest
from tinylm.system.untrusted import quoted

Asked = TypeVar("Asked", bound=BaseModel)
JSON = "application/json"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_IN_A_FILE = "A file holds it in any shell: curl -d @body.json"
_HINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\s*$"), "It is empty"),
    (re.compile(r"\s*'"), "It begins with an apostrophe, which the command line of Windows takes as a letter: there "
                          f"one writes -d \"{{\\\"model\\\": ...}}\". {_IN_A_FILE}"),
    (re.compile(r'\s*\{\s*\\'), f"A backslash stands before a quotation mark: the shell left it in. {_IN_A_FILE}"),
    (re.compile(r"\s*\{\s*'"), "JSON has quotation marks, and no apostrophes, around names and texts"),
    (re.compile(r"\s*\{\s*[A-Za-z_]\w*\s*[:}]"), "Its names have no quotation marks: PowerShell of Windows takes them "
                                                 f"away. {_IN_A_FILE}"),
    (re.compile(r"\s*[A-Za-z_]\w*=[^{]*"), "It looks like a form: curl takes JSON with -d '{\"model\": ...}'"),
    (re.compile(r".*[:\[,]\s*(True|False|None)\b", re.DOTALL), "JSON writes true, false and null"),
    (re.compile(r".*,\s*[}\]]", re.DOTALL), "JSON has no comma before the end of a list or an object"),
)
"""How a body begins, or what is in it, and what has probably become of it; the first that fits is said."""
_HINT_WITHIN = 10_000
"""Characters of a body in which a cause is looked for."""
_UTF_16 = "is UTF-16: save it as UTF-8 (PowerShell: Out-File -Encoding utf8)"
_MARKS = ((b"\x1f\x8b", "is compressed (gzip): send it as it is"), (b"\xff\xfe", _UTF_16), (b"\xfe\xff", _UTF_16),
          (b"{\0", _UTF_16), (b"\0{", _UTF_16))
"""How bytes begin that are no JSON in UTF-8, and what they are."""


async def read_body(request: Request) -> bytes:
    """Raises: ApiError: it is too large, or not called JSON."""
    _check_kind(request.headers.get("content-type", ""))
    if (coding := request.headers.get("content-encoding", "identity").strip().lower()) != "identity":
        raise ApiError(415, "The body has to come as it is, without a Content-Encoding; this one's is "
                            f"{quoted(coding)!r}", code="unsupported_media_type")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > BODY_BYTES:
        raise _too_large()
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > BODY_BYTES:
            raise _too_large()
    return bytes(data)


def _check_kind(header: str) -> None:
    kind = header.partition(";")[0].strip().lower()
    if kind == JSON:
        return
    called = f"this one is called {quoted(kind)}" if kind else "this one has no Content-Type"
    if kind == "application/x-www-form-urlencoded":
        called += ", as curl calls it unless told otherwise with -H"
    raise ApiError(415, f"The body has to be JSON, with the header Content-Type: {JSON}; {called}",
                   code="unsupported_media_type")


def _too_large() -> ApiError:
    return ApiError(413, f"The body may have {BODY_BYTES:,} bytes at most", code="request_too_large")


def parse(kind: type[Asked], body: bytes) -> Asked:
    """Raises: ApiError: no JSON object, or a field that cannot be."""
    values = _json(body)
    if not isinstance(values, dict):
        raise ApiError(400, "The body has to be a JSON object, in braces")
    if _SURROGATE.search(body):
        _check_unicode(values)
    names: dict[str, str] = {}
    known = [*kind.model_fields]
    if issubclass(kind, CompletionRequest):
        values, names = foreign_fields.understood(values)
        known += foreign_fields.NAMES
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise refused(kind, error, values, names, known) from None


def _json(body: bytes) -> Any:
    if known := next((said for mark, said in _MARKS if body.startswith(mark)), ""):
        raise ApiError(400, f"The body {known}")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApiError(400, f"The body is not UTF-8: byte {error.start} cannot be") from None
    try:
        return json.loads(text, object_pairs_hook=_without_doubles, parse_float=_number, parse_constant=_no_number)
    except RecursionError:
        raise ApiError(400, "The body is nested too deeply") from None
    except ValueError as error:
        hint = next((hint for looks, hint in _HINTS if looks.match(text[:_HINT_WITHIN])), "")
        raise ApiError(400, f"The body is not valid JSON: {quoted(error)}. {hint}".rstrip()) from None


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
