"""What a client is told when it cannot have what it asked for: always in the shape that OpenAI's clients read."""

from __future__ import annotations

from typing import Any

from tinylm.errors import TinyLMError
from tinylm.system.untrusted import quoted

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """
    Args:
        status: of HTTP.
        message: a sentence or two, for a person.
        param: the field that is wrong, if it is one.
        code: a word for programs.
    """

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None,
                 headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.headers = status, param, code, headers or {}

    def body(self) -> dict[str, Any]:
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


def of_settings(error: TinyLMError, *, param: str | None = None) -> ApiError:
    """What the rooms below say of settings and prompts. `param`: the field, where they do not name one."""
    named = error.where.removeprefix("sample.") if error.where.startswith("sample.") else param
    remedy = f" {error.remedy}." if error.remedy and not named_for_terminals(error.remedy) else ""
    where = f"{named}: " if named else ""
    return ApiError(400, f"{where}{quoted(error.what)}.{remedy}", param=named, code="invalid_value")


def named_for_terminals(remedy: str) -> bool:
    """Whether it speaks of options of the command line, which a client has not."""
    return "--" in remedy or "tinylm " in remedy


def server_error(message: str = "Something went wrong here; the server's own log says what") -> ApiError:
    return ApiError(500, message)


def overloaded(message: str) -> ApiError:
    return ApiError(429, message, code="rate_limit_exceeded", headers={"Retry-After": "1"})


def unavailable(message: str) -> ApiError:
    return ApiError(503, message, code="unavailable", headers={"Retry-After": "1"})
