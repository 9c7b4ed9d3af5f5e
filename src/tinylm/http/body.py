"""The body of a request: read within bounds, and parsed strictly as a JSON object."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from starlette.requests import Request

from tinylm.http.errors import ApiError
from tinylm.http.limits import BODY_BYTES
from tinylm.system.untrusted import quoted

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
"""Patterns of bodies that are no JSON, each with its probable cause: the first that matches is named."""
_HINT_WITHIN = 10_000
"""Characters of a body that the patterns are matched against."""
_UTF_16 = "is UTF-16: save it as UTF-8 (PowerShell: Out-File -Encoding utf8)"
_MARKS = ((b"\x1f\x8b", "is compressed (gzip): send it as it is"), (b"\xff\xfe", _UTF_16), (b"\xfe\xff", _UTF_16),
          (b"{\0", _UTF_16), (b"\0{", _UTF_16))
"""First bytes of bodies that are no JSON in UTF-8, and what such a body is."""


async def read_body(request: Request) -> bytes:
    """Reads a body of at most `BODY_BYTES` bytes.

    Raises:
        ApiError: the body is too large (413), or its Content-Type or Content-Encoding is not that of plain JSON (415).
    """
    _check_content_type(request.headers.get("content-type", ""))
    if (coding := request.headers.get("content-encoding", "identity").strip().lower()) != "identity":
        raise ApiError(415, "The body has to come as it is, without a Content-Encoding; this one's is "
                            f"{quoted(coding)!r}", code="unsupported_media_type")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > BODY_BYTES:
        raise _too_large(BODY_BYTES)
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > BODY_BYTES:
            raise _too_large(BODY_BYTES)
    return bytes(data)


def _check_content_type(header: str) -> None:
    kind = header.partition(";")[0].strip().lower()
    if kind == JSON:
        return
    called = f"this one is called {quoted(kind)}" if kind else "this one has no Content-Type"
    if kind == "application/x-www-form-urlencoded":
        called += ", as curl calls it unless told otherwise with -H"
    raise ApiError(415, f"The body has to be JSON, with the header Content-Type: {JSON}; {called}",
                   code="unsupported_media_type")


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"The body may have {most:,} bytes at most", code="request_too_large")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds.

    Args:
        body: UTF-8, with or without a byte order mark.

    Raises:
        ApiError: no JSON object, a name that comes twice, NaN, or half of a surrogate pair.

    >>> parse_object(b'{"prompt": "once", "max_tokens": 85.0}')
    {'prompt': 'once', 'max_tokens': 85}
    """
    values = _parse(body)
    if not isinstance(values, dict):
        raise ApiError(400, "The body has to be a JSON object, in braces")
    if _SURROGATE.search(body):
        _check_unicode(values)
    return values


def _parse(body: bytes) -> Any:
    if known := next((said for mark, said in _MARKS if body.startswith(mark)), ""):
        raise ApiError(400, f"The body {known}")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApiError(400, f"The body is not UTF-8: byte {error.start} cannot be") from None
    try:
        return json.loads(text, object_pairs_hook=_unique_names, parse_float=_number, parse_constant=_refuse_constant)
    except RecursionError:
        raise ApiError(400, "The body is nested too deeply") from None
    except ValueError as error:
        hint = next((hint for looks, hint in _HINTS if looks.match(text[:_HINT_WITHIN])), "")
        raise ApiError(400, f"The body is not valid JSON: {quoted(error)}. {hint}".rstrip()) from None


def _unique_names(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} comes twice")
    return found


def _number(text: str) -> float:
    """Reads 85.0 as the integer 85, as JSON Schema does."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _check_unicode(values: dict[str, Any]) -> None:
    """Refuses half of a surrogate pair, which JSON can spell, although it is no character and has no UTF-8."""
    for name, value in values.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ApiError(400, "The text is not valid Unicode: it holds half of a surrogate pair",
                           param=quoted(name)) from None


async def save_body(request: Request, path: Path, most: int) -> int:
    """Writes a body of any kind to a file, as it comes. Returns its bytes.

    Args:
        most: bytes.

    Raises:
        ApiError: the body is too large (413); the file is then not whole.
        ClientDisconnect: the client has left before the end; likewise.
        OSError: the file cannot be written.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > most:
        raise _too_large(most)
    size = 0
    with open(path, "xb") as file:
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise _too_large(most)
            file.write(piece)
    return size
