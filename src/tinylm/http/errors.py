"""Errors of HTTP, in the JSON shape that OpenAI's clients read."""

from __future__ import annotations

from typing import Any

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """An error that is sent to the client as a response.

    Args:
        status: the HTTP status.
        message: a sentence or two, for a person.
        param: the name of the field that is wrong, if a field is.
        code: a word for programs.
        headers: further headers of the response.

    >>> ApiError(404, "There is no model 'x'", param="model", code="model_not_found").body()["error"]["type"]
    'invalid_request_error'
    """

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None,
                 headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, headers or {}

    def body(self) -> dict[str, Any]:
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


def server_error(message: str = "Something went wrong here; the server's own log says what") -> ApiError:
    return ApiError(500, message)


def overloaded(message: str) -> ApiError:
    return ApiError(429, message, code="rate_limit_exceeded", headers={"Retry-After": "1"})


def unavailable(message: str) -> ApiError:
    return ApiError(503, message, code="unavailable", headers={"Retry-After": "1"})
