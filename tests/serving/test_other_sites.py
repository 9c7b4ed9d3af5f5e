"""No other site reads or changes anything: what a browser sends for its pages is refused (promise S3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import Reply, Server

EVIL = "http://evil.example"
CROSS = {"Sec-Fetch-Site": "cross-site"}
FETCH = {**CROSS, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Origin": EVIL}
NO_CORS = {**FETCH, "Sec-Fetch-Mode": "no-cors"}
FORM = {**CROSS, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1", "Origin": EVIL}
OLD = {"Origin": EVIL, "Referer": f"{EVIL}/attack.html"}
"""A browser from before Sec-Fetch-Site."""
SIMPLE = ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded",
          "multipart/form-data; boundary=x", "", "text/plain; application/json", "application/json-evil",
          "text/plain, application/json"]
"""What a page may send anywhere without asking first."""
NAMES = ("access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods",
         "access-control-allow-headers", "access-control-allow-private-network")


def opens(reply: Reply) -> list[str]:
    return [name for name in NAMES if name in reply.headers]


def attack(server: Server, headers: dict[str, str], kind: str = "application/json", method: str = "POST",
           path: str = "/v1/completions") -> Reply:
    body = None if method in ("GET", "HEAD", "OPTIONS") else json.dumps(server.fields(max_tokens=1)).encode()
    return server.ask(path, body, method=method, headers={"Content-Type": kind, **headers} if body else headers)


@pytest.fixture(autouse=True)
def _nothing_was_written(server: Server) -> Iterator[None]:
    before = server.gauge("tinylm_completion_tokens_total")
    yield
    assert server.gauge("tinylm_completion_tokens_total") == before


@pytest.mark.parametrize("headers", [FETCH, NO_CORS, FORM, OLD], ids=["fetch", "no-cors", "form", "old"])
@pytest.mark.parametrize("kind", ["application/json", *SIMPLE])
def test_posts_of_other_pages_are_refused(server: Server, headers: dict[str, str], kind: str) -> None:
    reply = attack(server, headers, kind)
    assert reply.status == 403
    assert not opens(reply)
    assert reply.error["message"]


@pytest.mark.parametrize("kind", SIMPLE)
def test_so_is_what_a_form_sends_without_saying_from_where(server: Server, kind: str) -> None:
    reply = attack(server, {}, kind)
    assert reply.status in (400, 415)
    assert "application/json" in reply.error["message"]


@pytest.mark.parametrize("origin", ["null", "http://localhost:3000", "http://127.0.0.1", "https://127.0.0.1:{port}",
                                    "http://127.0.0.1:{port}.evil.example", "http://localhost.evil.example:{port}",
                                    "http://evil.example/127.0.0.1:{port}", "file://", "chrome-extension://abcdef",
                                    "http://[::1]:1", "http://127.0.0.1:{port}@evil.example", "", "127.0.0.1:{port}",
                                    "HTTP://EVIL.EXAMPLE", "http://127.0.0.1:{port} http://evil.example"])
def test_origins_that_only_look_like_ours_are_refused(server: Server, origin: str) -> None:
    reply = attack(server, {"Origin": origin.format(port=server.port)})
    assert reply.status == 403
    assert not opens(reply)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE", "something-new"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/completions", "/metrics", "/openapi.json", "/"])
def test_what_a_page_loads_as_a_picture_or_a_script_is_refused(server: Server, site: str, path: str) -> None:
    for kind in ("image", "script", "iframe", "style", "object", "empty"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": kind}
        reply = attack(server, headers, method="GET", path=path)
        assert reply.status == 403, (kind, reply)
        assert not opens(reply)


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/models", "/v1/next", "/no/such/path", "/"])
@pytest.mark.parametrize("more", [{}, {"Access-Control-Request-Private-Network": "true"},
                                  {"Access-Control-Request-Headers": "authorization,content-type"}])
def test_asking_first_gets_no_leave(server: Server, path: str, more: dict[str, str]) -> None:
    reply = attack(server, {**FETCH, "Access-Control-Request-Method": "POST", **more}, method="OPTIONS", path=path)
    assert reply.status >= 400
    assert not opens(reply)


def test_there_are_no_other_protocols(server: Server) -> None:
    for upgrade in ("websocket", "h2c", "TLS/1.0"):
        reply = attack(server, {"Connection": "Upgrade", "Upgrade": upgrade, "Sec-WebSocket-Version": "13",
                                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}, method="GET", path="/v1/models")
        assert reply.status != 101


def test_answers_are_kept_to_their_kind_and_out_of_frames(server: Server) -> None:
    for path in ("/v1/models", "/metrics", "/no/such/path"):
        headers = server.ask(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert not [name for name in NAMES if name in headers]


def test_a_site_that_is_named_may_read_and_no_other(characters: Path) -> None:
    good = "https://notes.example"
    with Server(characters, "--allow-origin", good) as server:
        named = {"Origin": good, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
        asked = attack(server, {**named, "Access-Control-Request-Method": "POST",
                                "Access-Control-Request-Headers": "content-type,authorization,x-stainless-os"},
                       method="OPTIONS")
        assert asked.status in (200, 204)
        assert asked.headers["access-control-allow-headers"] == "content-type,authorization,x-stainless-os"
        for reply in (asked, attack(server, named)):
            assert reply.status in (200, 204)
            assert reply.headers["access-control-allow-origin"] == good
            assert "origin" in reply.headers["vary"].lower()
            assert "access-control-allow-credentials" not in reply.headers
        for origin in (EVIL, "http://notes.example", f"{good}.evil.example", f"{good}:81", "null"):
            reply = attack(server, {**named, "Origin": origin})
            assert reply.status == 403, origin
            assert not opens(reply)
