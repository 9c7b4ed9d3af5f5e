"""Without the key nothing is told and nothing is done, on any path, in any method (promise S4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import Reply, Server, paths_of_the_application, read_until

KEY = "a-key-of-some-length-0123456789"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X"]
OTHERS = ["/", "/v1", "/v1/", "/v1//models", "/V1/MODELS", "/v1/models/", "/v1/models/no-such", "/no/such/path",
          "//v1/models", "/./v1/models", "/v1/../v1/models", "/healthz/../v1/models", "/healthz/",
          "/healthz%2f..%2fv1%2fmodels", "/healthz;/v1/models", "/healthz?/v1/models", "/healthz%00/v1/models",
          "/%76%31/models", "/v1/models?key=" + KEY, "/static/../v1/models", "/docs", "/favicon.ico", "*",
          "/healthz/v1/models", "/v1/models%20", "/v1/models%0a", "/models", "/completions", "/v1/v1/models",
          "/v1/engines/characters/completions", "/api/generate", "/health", "/v1/healthz", "//healthz",
          "/v1/../healthz", "/HEALTHZ", "/healthz//", "/healthz/../completions"]
"""Paths by which one has come past a key elsewhere."""
OPEN = {"/healthz"}
"""What may be asked without a key: it says whether the server runs, and no more."""
BAD = [None, "", "Bearer", "Bearer ", "Bearer  ", f"Bearer {KEY[:-1]}", f"Bearer {KEY}x", f"Bearer {KEY.upper()}", KEY,
       f"Basic {KEY}", f"Token {KEY}", f"Bearer {KEY},{KEY}", f"Bearer {KEY} {KEY}", "Bearer null", "Bearer *",
       f"Bearer \"{KEY}\"", f"Bearer: {KEY}", "Bearer " + "k" * 7000, f"Bearer x{KEY}", "Bearer \xff\xfe"]


@pytest.fixture(scope="module")
def locked(characters: Path) -> Iterator[Server]:
    with Server(characters, environment={"TINYLM_API_KEY": KEY}) as server:
        yield server


@pytest.fixture(scope="module")
def routes(locked: Server) -> list[str]:
    found = [path.replace("{model}", locked.model) for path in paths_of_the_application()]
    assert {"/v1/models", "/v1/completions", "/v1/chat/completions", "/v1/next", "/metrics"} <= {*found}
    assert not [path for path in found if "{" in path]
    return found


def ask(server: Server, method: str, path: str, key: str | None) -> Reply:
    """With the whole value of the header."""
    body = server.fields(max_tokens=1) if method in ("POST", "PUT", "PATCH") else None
    return server.ask(path, body, method=method, headers={} if key is None else {"Authorization": key})


@pytest.mark.parametrize("method", METHODS)
def test_every_route_in_every_method_asks_for_it(locked: Server, routes: list[str], method: str) -> None:
    before = locked.process.poll()
    for path in [*routes, *OTHERS]:
        if path.partition("?")[0] in OPEN:
            continue
        reply = ask(locked, method, path, None)
        assert reply.status in (401, 400), (path, reply)
        assert locked.model.encode() not in reply.body
    assert before is None


@pytest.mark.parametrize("method", METHODS)
def test_with_it_every_route_answers(locked: Server, routes: list[str], method: str) -> None:
    for path in routes:
        reply = ask(locked, method, path, f"Bearer {KEY}")
        assert reply.status not in (401, 403), path
        assert reply.status < 500, (path, reply)


@pytest.mark.parametrize("key", BAD)
def test_what_is_not_the_key_is_refused(locked: Server, key: str | None) -> None:
    for path in ("/v1/models", "/v1/completions"):
        reply = ask(locked, "POST" if "comp" in path else "GET", path, key)
        assert reply.status in (401, 400), reply
        if reply.status == 401:
            assert "bearer" in reply.headers["www-authenticate"].lower()
            assert reply.error["code"] == "invalid_api_key"
        assert KEY.encode() not in reply.body


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_written_in_any_case(locked: Server, word: str) -> None:
    assert ask(locked, "GET", "/v1/models", f"{word} {KEY}").status == 200


def test_other_places_for_a_key_are_none(locked: Server) -> None:
    for headers in ({"X-Api-Key": KEY}, {"Api-Key": KEY}, {"Cookie": f"key={KEY}"},
                    {"Proxy-Authorization": f"Bearer {KEY}"}, {"X-Forwarded-For": "127.0.0.1"},
                    {"X-Original-URL": "/healthz"}, {"X-Rewrite-URL": "/healthz"}, {"X-HTTP-Method-Override": "HEAD"}):
        assert locked.ask("/v1/models", headers=headers).status == 401
    assert locked.ask(f"/v1/models?api_key={KEY}").status == 401


def test_two_keys_are_none(locked: Server) -> None:
    with locked.open() as connection:
        connection.sendall(f"GET /v1/models HTTP/1.1\r\nHost: {locked.authority}\r\nAuthorization: Bearer {KEY}\r\n"
                           f"Authorization: Bearer x\r\nConnection: close\r\n\r\n".encode())
        assert read_until(connection, b"\0never").split(b" ")[1] in (b"400", b"401")


def test_it_is_asked_for_before_a_body_is_read(locked: Server) -> None:
    """Who has no key cannot make the server take in ten megabytes."""
    head = ["POST /v1/completions HTTP/1.1", f"Host: {locked.authority}", "Content-Type: application/json",
            "Content-Length: 10000000", "", "{"]
    with locked.open() as connection:
        connection.sendall("\r\n".join(head).encode())
        assert read_until(connection, b"\r\n\r\n").split(b" ")[1] in (b"401", b"413")


def test_whether_it_runs_may_be_asked_by_all(locked: Server) -> None:
    reply = locked.ask("/healthz")
    assert reply.status == 200
    assert locked.model.encode() not in reply.body
