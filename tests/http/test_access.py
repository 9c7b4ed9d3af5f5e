"""Hosts, origins and keys: who may ask a server, whatever stands behind it."""

from __future__ import annotations

import pytest

from tinylm.http.access import PUBLIC_PATH, AccessPolicy, AllowedHosts

from .application import Notebook, ask

KEY = "a-key-of-some-length"
GOOD = "https://notes.example"


@pytest.mark.parametrize(("host", "is_allowed"), [
    ("localhost:8000", True), ("LOCALHOST:8000", True), ("[::1]:8000", True), ("127.0.0.1:8000", True),
    ("box.local", True), ("box.local:8000", True), ("localhost", False), ("localhost:1", False),
    ("evil.example:8000", False), ("192.168.0.1:8000", False), ("other.local:99", True), ("other.local", False)])
def test_hosts_are_those_that_are_named(host: str, is_allowed: bool) -> None:
    assert (host in AllowedHosts(["box.local", "other.local:99"], [8000])) == is_allowed


@pytest.mark.parametrize(("host", "is_allowed"), [
    ("192.168.0.1:8000", True), ("[fe80::1]:8000", True), ("192.168.0.1:80", False), ("fe80::1:8000", False),
    ("192.168.0.1.evil.example:8000", False)])
def test_addresses_are_hosts_of_a_server_that_listens_at_all(host: str, is_allowed: bool) -> None:
    assert (host in AllowedHosts([], [8000], any_address=True)) == is_allowed


def test_a_foreign_host_is_refused_before_the_path_is_looked_at() -> None:
    notebook = Notebook()
    for path in ("/echo", "/fail", PUBLIC_PATH, "/no/such/path"):
        assert ask(notebook.behind(), path, headers={"Host": "evil.example"}).status == 421


def test_a_key_is_asked_for_everywhere_but_at_the_public_path() -> None:
    app = Notebook().behind(AccessPolicy(AllowedHosts([], [8000]), key=KEY))
    assert ask(app, "/echo", b"{}").status == 401
    assert ask(app, "/echo", b"{}", headers={"Authorization": f"Bearer {KEY}"}).status == 200
    assert ask(app, "/echo", b"{}", headers={"Authorization": "Bearer another"}).status == 401
    assert ask(app, PUBLIC_PATH).status == 200


def test_pages_of_other_sites_are_refused_unless_they_are_named() -> None:
    app = Notebook().behind(AccessPolicy(AllowedHosts([], [8000]), frozenset([GOOD])))
    assert ask(app, "/echo", b"{}", headers={"Origin": "http://evil.example"}).status == 403
    assert ask(app, "/echo", b"{}", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    reply = ask(app, "/echo", b"{}", headers={"Origin": GOOD})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, GOOD)
    preflight = ask(app, "/echo", method="OPTIONS", headers={"Origin": GOOD, "Access-Control-Request-Headers": "x-a"})
    assert (preflight.status, preflight.headers["access-control-allow-headers"]) == (204, "x-a")


@pytest.mark.parametrize("path", ["/echo", "/healthz", "/no/such/path"])
def test_responses_have_the_headers_of_security(path: str) -> None:
    reply = ask(Notebook().behind(), path, headers={"Host": "localhost:8000"})
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_a_cookie_shows_the_key_where_the_policy_names_one() -> None:
    app = Notebook().behind(AccessPolicy(AllowedHosts([], [8000]), key=KEY, cookie="name-8000"))
    assert ask(app, "/echo", b"{}").status == 401
    assert ask(app, PUBLIC_PATH).status == 401, "no path is public then"
    assert ask(app, "/echo", b"{}", headers={"cookie": f"a=b; name-8000={KEY}"}).status == 200
    assert ask(app, "/echo", b"{}", headers={"authorization": f"Bearer {KEY}"}).status == 200
    given = ask(app, f"/fail?token={KEY}")
    assert (given.status, given.headers["location"]) == (303, "/")
    assert "HttpOnly; SameSite=Strict" in given.headers["set-cookie"]
    assert ask(app, f"/echo?token={KEY}", b"{}").status == 401, "only a browser's own first look brings the key so"
    header_alone = Notebook().behind(AccessPolicy(AllowedHosts([], [8000]), key=KEY))
    assert ask(header_alone, "/echo", b"{}", headers={"cookie": f"name-8000={KEY}"}).status == 401
    assert ask(header_alone, f"/fail?token={KEY}").status == 401
