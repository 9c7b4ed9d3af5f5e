"""Access control: the middleware that decides who may speak to the server at all, before anything is parsed.

Three checks in this order: the Host must be a name of this server (a foreign name that leads here belongs to a page
that rebinds its DNS name), no other web site may ask (browsers send Origin and Sec-Fetch-Site), and the API key must
be right. The path plays no part in the checks, except `PUBLIC_PATH`, which tells nothing.

A browser, which sends no key of its own, gets it as a cookie: a policy that names one takes the key as `?token=KEY`
once, and leads the browser on to the page without it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinylm.http.errors import ApiError
from tinylm.http.responses import send_error

PUBLIC_PATH = "/healthz"
"""The path that is answered without a key: it tells only that the server runs."""
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
SECURITY_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"),
                    (b"referrer-policy", b"no-referrer"), (b"cross-origin-resource-policy", b"same-origin")]
CONTENT_SECURITY_POLICY = (b"content-security-policy",
                           b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
Headers = list[tuple[bytes, bytes]]
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")
_HEADER_NAMES = re.compile(r"[a-z0-9-]{1,60}( ?, ?[a-z0-9-]{1,60}){0,40}")


class AllowedHosts:
    """The values of the Host header that this server answers to.

    Args:
        names: `name` or `name:port`.
        ports: the ports that the server listens at.
        any_address: True if clients can reach the server under addresses that it does not know. An IP address is then
            allowed as a Host: a DNS name could be made to lead elsewhere, an address cannot.

    >>> hosts = AllowedHosts(["box.local"], [8000])
    >>> "box.local:8000" in hosts, "localhost:8000" in hosts, "evil.example:8000" in hosts
    (True, True, False)
    """

    def __init__(self, names: Iterable[str], ports: Iterable[int], any_address: bool = False) -> None:
        self._ports, self._any_address = {str(port) for port in ports}, any_address
        self._allowed: set[str] = set()
        for name in (*LOOPBACK_NAMES, *(name.lower() for name in names)):
            has_port = ":" in name.rpartition("]")[2]
            self._allowed |= {name} if has_port else {f"{name}:{port}" for port in self._ports}
            if not has_port and (name not in LOOPBACK_NAMES or "80" in self._ports):
                self._allowed.add(name)  # behind another server, which listens at the usual port

    def __contains__(self, host: str) -> bool:
        return host.lower() in self._allowed or (self._any_address and self._is_address(host))

    def _is_address(self, host: str) -> bool:
        name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "80")
        if not colon and not host.endswith("]"):
            name, port = host, "80"
        try:
            address = ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
        except ValueError:
            return False
        return port in self._ports and (address.version == 4 or name.startswith("["))


class AccessPolicy(NamedTuple):
    """The rules of access to one server.

    Attributes:
        hosts: the names of the server.
        origins: web sites whose pages may ask, as the Origin header spells them.
        key: the API key that every request has to show; None: no key is needed.
        cookie: the name of a cookie that may show the key, for browsers; None: the header alone shows it. Browsers send
            cookies of one port to every other port of the same host, so the name holds the port. With a cookie no path
            is public.
    """

    hosts: AllowedHosts
    origins: frozenset[str] = frozenset()
    key: str | None = None
    cookie: str | None = None


class AccessMiddleware:
    """ASGI middleware: refuses a request that the policy does not allow, and puts security headers on every response
    that passes it.

    Args:
        app: the ASGI application behind it. Only HTTP scopes reach it.
        policy: who may ask.
    """

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self._app, self._policy = app, policy
        self._key = None if policy.key is None else _digest(policy.key.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = scope["headers"]
        origin = _single_value(headers, b"origin")
        extra = self._cors_headers(origin)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [*message.get("headers", []), *extra]
                has_policy = any(name == CONTENT_SECURITY_POLICY[0] for name, _ in given)
                policy = [] if has_policy else [CONTENT_SECURITY_POLICY]
                message = {**message, "headers": [*given, *SECURITY_HEADERS, *policy]}
            await send(message)

        try:
            _check_framing(scope)
            self._check_host(headers)
            self._check_origin(headers, origin)
            if extra and scope["method"] == "OPTIONS":
                await _preflight(headers, send_safely)
                return
            if self._brings_token(scope):
                await self._give_cookie(send_safely)
                return
            if self._policy.cookie or scope["path"] != PUBLIC_PATH:
                self._check_key(headers)
        except ApiError as error:
            is_page = self._policy.cookie is not None and "text/html" in (_single_value(headers, b"accept") or "")
            await send_error(error, send_safely, as_text=is_page)
            return
        await self._app(scope, receive, send_safely)

    def _check_host(self, headers: Headers) -> None:
        host = _single_value(headers, b"host")
        if host is None or host not in self._policy.hosts:
            name = host if host and _HOST.fullmatch(host) else "NAME"
            known = "This server does not answer to that Host: it knows localhost with its port, "
            raise ApiError(421, f"{known}and the address that it listens at" if self._policy.cookie else
                           f"{known}the address that it listens at, and the names given with --allow-host. Ask one of "
                           f"these, or, where the Host is a name of this machine, start it with --allow-host {name}",
                           code="host_not_allowed")

    def _check_origin(self, headers: Headers, origin: str | None) -> None:
        """Refuses pages of other web sites. A browser names the page that asks; other clients send no Origin."""
        if origin in self._policy.origins:
            return
        host = _single_value(headers, b"host")
        is_ours = origin is None or origin.lower() == f"http://{host}".lower()
        count = sum(name == b"origin" for name, _ in headers)
        from_elsewhere = _single_value(headers, b"sec-fetch-site") not in (None, "same-origin", "none")
        if not is_ours or count > 1 or from_elsewhere:
            remedy = ("Type or paste its address into the browser" if self._policy.cookie else
                      "--allow-origin names those that may")
            raise ApiError(403, f"Pages of other web sites may not ask this server. {remedy}",
                           code="origin_not_allowed")

    def _check_key(self, headers: Headers) -> None:
        if self._key is None or self._is_key(_cookie(headers, self._policy.cookie)):
            return
        scheme, _, given = (_single_value(headers, b"authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not self._is_key(given.strip()):
            said = "is not the one of this server" if given else "is missing: Authorization: Bearer KEY"
            if self._policy.cookie and not given:
                said = "is missing: open the whole address that was printed when the server began, with its ?token="
            raise ApiError(401, f"The API key {said}", code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})

    def _is_key(self, given: str) -> bool:
        return self._key is not None and hmac.compare_digest(_digest(given.encode("latin-1", "replace")), self._key)

    def _brings_token(self, scope: Scope) -> bool:
        """True for a browser that opens an address with the right token in it."""
        if self._policy.cookie is None or scope["method"] != "GET":
            return False
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return self._is_key(query.get("token", [""])[0])

    async def _give_cookie(self, send: Send) -> None:
        """Leads the browser on to the page, with a cookie that no script and no other site gets hold of."""
        cookie = f"{self._policy.cookie}={self._policy.key}; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _cors_headers(self, origin: str | None) -> Headers:
        """CORS headers that let a page of an allowed origin read the response; empty for any other origin."""
        if origin is None or origin not in self._policy.origins:
            return []
        return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"origin"),
                (b"access-control-expose-headers", b"x-request-id, retry-after")]


def _check_framing(scope: Scope) -> None:
    """Refuses a request whose end a proxy could see elsewhere than this server does (request smuggling)."""
    if scope["http_version"] not in ("1.0", "1.1"):
        raise ApiError(505, "This server speaks HTTP/1.1")
    names = [name for name, _ in scope["headers"]]
    if b"transfer-encoding" in names and b"content-length" in names:
        raise ApiError(400, "A body has a Content-Length or comes in chunks, not both", headers={"Connection": "close"})


def _digest(text: bytes) -> bytes:
    """SHA-256 of a key: keys of any length then take equally long to compare."""
    return hashlib.sha256(text).digest()


def _single_value(headers: Headers, name: bytes) -> str | None:
    """The value of a header; None where the header is missing or comes twice."""
    found = [value for each, value in headers if each == name]
    return found[0].decode("latin-1") if len(found) == 1 else None


def _cookie(headers: Headers, name: str | None) -> str:
    """The value of a cookie; empty where there is none."""
    pairs = (pair.strip().partition("=") for each, value in headers if each == b"cookie"
             for pair in value.decode("latin-1").split(";"))
    return next((value for given, _, value in pairs if given == name), "")


async def _preflight(asked: Headers, send: Send) -> None:
    """Answers a CORS preflight of an allowed origin. The headers that the page asks for are allowed: OpenAI's clients
    send some of their own."""
    wanted = (_single_value(asked, b"access-control-request-headers") or "").lower()
    names = wanted if _HEADER_NAMES.fullmatch(wanted) else "authorization, content-type"
    headers = [(b"access-control-allow-methods", b"GET, POST"), (b"access-control-max-age", b"600"),
               (b"access-control-allow-headers", names.encode())]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
