"""Nobody without the key of the address is answered anything, and no other web site is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.http.application import ask
from tests.studio.conftest import COOKIE, KEY, Application

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
WITHOUT = [{}, {"authorization": "Bearer"}, {"authorization": f"Basic {KEY}"}, {"authorization": f"Bearer {KEY[:-1]}"},
           {"cookie": f"tinylm-8001={KEY}"}, {"cookie": f"{COOKIE}={KEY[:-1]}"}, {"cookie": f"{COOKIE}="},
           {"cookie": f"x{COOKIE}={KEY}"}, {"cookie": KEY}, {"x-api-key": KEY}]
FOREIGN_HOSTS = ["", "evil.example", "evil.example:8000", "localhost", "127.0.0.1", "127.0.0.1:8001",
                 "localhost.evil.example:8000", "127.0.0.1:8000.evil.example", "127.0.0.2:8000", "[::1]:80",
                 "0.0.0.0:8000", "2130706433:8000"]
FOREIGN_ORIGINS = ["null", "http://evil.example", "http://localhost:8001", "https://localhost:8000",
                   "http://127.0.0.1:8000", "http://localhost:8000.evil.example", "file://"]


@pytest.fixture(scope="module")
def app(two_models: Path) -> Application:
    return Application(two_models)


def paths(app: Application) -> list[str]:
    """Every path of the application, with names in the place of its parameters; and one that is none."""
    named = (re.sub(r"\{key\}", "0123456789abcdef", route.path) for route in app.api.router.routes)
    return [re.sub(r"\{path:path\}", "style.css", path.replace("{id}", "hello")) for path in named] + ["/no/such/path"]


def test_there_are_all_the_routes(app: Application) -> None:
    assert len(paths(app)) >= 20


@pytest.mark.parametrize("method", METHODS)
def test_every_route_and_method_without_the_key_is_refused(app: Application, method: str) -> None:
    for path in paths(app):
        for headers in WITHOUT:
            reply = ask(app.app, path, b"{}" if method in ("POST", "PUT", "PATCH") else None, method=method,
                        headers=headers)
            assert reply.status == 401, (path, headers, reply)
            assert "set-cookie" not in reply.headers


def test_a_wrong_key_in_the_address_is_refused(app: Application) -> None:
    for query in ("token=", f"token={KEY[:-1]}", f"token={KEY}x", f"Token={KEY}", f"key={KEY}", f"token[]={KEY}",
                  "token=%00", f"token=x&token={KEY}", "&" * 500, "token=" + "a" * 3000):
        reply = ask(app.app, f"/?{query}")
        assert reply.status == 401, query
        assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("path", ["/", "/api/models", "/no/such/path"])
def test_the_address_gives_a_cookie_and_leads_to_the_page_without_the_key(app: Application, path: str) -> None:
    reply = ask(app.app, f"{path}?token={KEY}")
    assert (reply.status, reply.headers["location"]) == (303, "/")
    assert reply.headers["set-cookie"] == f"{COOKIE}={KEY}; Path=/; HttpOnly; SameSite=Strict"
    page = ask(app.app, "/", headers={"cookie": f"other=1; {COOKIE}={KEY}"})
    assert page.status == 200
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "access-control-allow-origin" not in page.headers


def test_a_foreign_host_is_refused_even_with_the_key(app: Application) -> None:
    for host in FOREIGN_HOSTS:
        for path in ("/", "/api/models", f"/?token={KEY}"):
            assert app.ask(path, headers={"host": host}).status == 421, host


def test_another_site_is_refused_even_with_the_key(app: Application) -> None:
    for origin in FOREIGN_ORIGINS:
        assert app.ask("/api/models", headers={"origin": origin}).status == 403, origin
    for site in ("cross-site", "same-site"):
        assert app.ask("/api/models", headers={"sec-fetch-site": site}).status == 403, site
    own = {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}
    assert app.ask("/api/models", headers=own).status == 200


def test_the_page_has_a_fixed_list_of_files(app: Application) -> None:
    for path in ("style.css", "studio.js", "model/transformer.js"):
        assert app.ask(f"/static/{path}").status == 200
    for path in ("../__init__.py", "..%2f__init__.py", "%2fetc%2fpasswd", "modules.py", "studio.html", "", ".", "model",
                 "style.css%00", "STYLE.CSS", "model//transformer.js", "C:\\style.css"):
        assert app.ask(f"/static/{path}").status == 404, path


def test_a_person_at_a_browser_reads_a_sentence(app: Application) -> None:
    accept = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    foreign = accept | {"sec-fetch-site": "cross-site"}
    for reply, status, said in ((ask(app.app, "/", headers=accept), 401, "open the whole address that was printed"),
                                (app.ask("/", headers=foreign), 403, "Type or paste")):
        assert (reply.status, reply.headers["content-type"]) == (status, "text/plain; charset=utf-8")
        assert said in reply.body.decode()
        assert not reply.body.startswith(b"{")
