"""Paths that clients ask by mistake, and the path that each of them meant: the base URL ends in /v1."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Scope

from tinylm.http.errors import ApiError
from tinylm.system.untrusted import quoted

BASE = "/v1"
_COMPLETIONS, _CHAT, _MODELS = "/v1/completions", "/v1/chat/completions", "/v1/models"
FOREIGN_PATHS = {
    "/api/generate": ("Ollama", _COMPLETIONS), "/api/chat": ("Ollama", _CHAT), "/api/tags": ("Ollama", _MODELS),
    "/api/show": ("Ollama", _MODELS), "/completion": ("llama.cpp", _COMPLETIONS),
    "/infill": ("llama.cpp", _COMPLETIONS), "/props": ("llama.cpp", _MODELS),
    "/health": ("llama.cpp and vLLM", "/healthz"),
    "/v1/health": ("llama.cpp and vLLM", "/healthz"),
    "/api/v1/generate": ("KoboldAI", _COMPLETIONS), "/api/v1/model": ("KoboldAI", _MODELS),
    "/api/extra/generate/stream": ("KoboldAI", _COMPLETIONS), "/generate": ("TGI", _COMPLETIONS),
    "/generate_stream": ("TGI", _COMPLETIONS), "/v1/chat": ("others", _CHAT), "/v1/messages": ("Anthropic", _CHAT),
    "/v1/complete": ("Anthropic", _COMPLETIONS), "/v1/responses": ("OpenAI", _CHAT),
    "/v1/edits": ("OpenAI", _COMPLETIONS), "/tokenize": ("vLLM and llama.cpp", "/v1/next"),
}
"""Paths of other servers: the name of the server, and the nearest path here."""


def not_found(scope: Scope, methods: Mapping[str, str]) -> ApiError:
    """The error for a path without a route.

    Args:
        methods: the method of each path, as routes write them.
    """
    base, path = _base(scope), scope["path"]
    tidy = "/" + "/".join(part for part in path.split("/") if part)
    if set(tidy.lower().split("/")) == {"", "v1"}:
        said = f"{base}{BASE} is the base URL, to which a client adds what it asks: {base}{_MODELS}, for one"
    elif whose := FOREIGN_PATHS.get(tidy.lower()):
        said = (f"That path is one of {whose[0]}; here {methods[whose[1]]} {base}{whose[1]} comes nearest to it, and "
                f"the base URL for clients of OpenAI's API is {base}{BASE}")
    elif meant := _meant(tidy, methods):
        said = f"This is at {base}{meant}, and the base URL for clients is {base}{BASE}"
    else:
        said = f"The base URL for clients is {base}{BASE}, and the page {base}/docs lists what there is"
    return ApiError(404, f"There is nothing at {quoted(path)}. {said}", code="not_found")


def method_not_allowed(scope: Scope, headers: dict[str, str]) -> ApiError:
    """The error for a route that is asked with another method.

    Args:
        headers: those of the error; `Allow` names the right methods.
    """
    allowed = [method for method in headers.get("Allow", "").split(", ") if method and method != "HEAD"]
    right = " or ".join(allowed) or "another method"
    body = " with a body of JSON" if allowed == ["POST"] else ""
    asks = f" To write a text, POST to {_base(scope)}{_COMPLETIONS}" if scope["path"] in ("/", "/docs") else ""
    return ApiError(405, f"{scope['path']} is asked by {right}{body}, and this was {quoted(scope['method'])}.{asks}",
                    code="method_not_allowed", headers=headers)


def _meant(tidy: str, methods: Mapping[str, str]) -> str | None:
    """The route whose path differs in slashes, case, the number of /v1 or a plural; or that stands behind another
    route, which the client took for the base URL. None if there is no such route."""
    parts = tidy.split("/")[1:]
    rest = parts[next((place for place, part in enumerate(parts) if part.lower() != "v1"), len(parts)):]
    if rest[0].lower() == "engines" and len(rest) > 2:  # OpenAI's of old: /v1/engines/MODEL/completions
        rest = rest[2:]
    for path in (f"{BASE}/{'/'.join(rest)}", "/" + "/".join(rest)):
        if path.lower() in methods or (path := f"{path}s").lower() in methods:
            return path.lower()
    for place in range(1, len(rest)):
        base, path = (f"{BASE}/{'/'.join(each)}".lower() for each in (rest[:place], rest[place:]))
        if base in methods and path in methods:
            return path
    return f"{BASE}/models/{quoted(rest[1])}" if len(rest) == 2 and rest[0].lower() == "models" else None


def _base(scope: Scope) -> str:
    """The URL of this server by the name that the client has for it: a Host that the access policy allows."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    return f"http://{host}"
