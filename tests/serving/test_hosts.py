"""A page that has its own name point to this machine reaches nothing: the Host is looked at first (promise S2)."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from .server import Server, read_until

REFUSED = (400, 403, 421)
PATHS = ["/v1/models", "/v1/completions", "/healthz", "/metrics", "/openapi.json", "/no/such/path"]
NEAR = ["localhost:1", "127.0.0.1:0", "localhost.evil.example", "evil.example.localhost", "127.0.0.1.evil.example",
        "127.0.0.1.nip.io", "localhosT.evil", "xn--lcalhost-26a", "localhost@evil.example", "evil.example@localhost",
        "evil.example#localhost", "0.0.0.0", "0", "127.0.0.1:{port}:80", "localhost:evil", "localhost:-1",
        "localhost:99999999", "[::1", "::1]", "[::1].evil.example", "[localhost]", "[::1%25eth0]", "localhost/../evil",
        "local host", "localhost evil.example", "localhost,evil.example", "localhost;evil.example", "http://localhost",
        "http://localhost:{port}", "//localhost", "localhost\\evil.example", "localhost\x0bevil", "ｌｏｃａｌｈｏｓｔ",
        "127。0。0。1", "", ":{port}", ".", "..", "*", "*.localhost", "evil.example", "EVIL.EXAMPLE:{port}",
        "192.168.0.1", "10.0.0.1:{port}", "169.254.169.254", "[fe80::1]", "metadata.google.internal", "a" * 300,
        "localhost" + "." * 20, "null", "undefined", "{{{{host}}}}", "..%2flocalhost", "%6c%6f%63%61%6c%68%6f%73%74",
        "127.0.0.1%00", "127.0.0.1%0d%0a", "localhost\t.evil", "1.1.1.1", "[::]", "[::ffff:10.0.0.1]",
        "localhost:{port}.evil.example", "evil.example:{port}"]
"""What a Host may look like that is not ours."""
LARGEST = 300


def random_hosts(count: int) -> list[str]:
    """Names that begin with ours, end with it, hold it, or are it with one character changed."""
    chance, found = random.Random(1), []
    while len(found) < count:
        ours = chance.choice(["localhost", "127.0.0.1", "[::1]"])
        word = "".join(chance.choices(string.ascii_letters + string.digits + ".-_@:/\\%[]?#", k=chance.randint(1, 12)))
        place = chance.randrange(len(ours))
        host = chance.choice([ours + word, word + ours, ours[:place] + word + ours[place:],
                              ours[:place] + chance.choice(string.ascii_letters) + ours[place + 1:]])
        if not is_ours(host):
            found.append(host)
    return found


def is_ours(host: str) -> bool:
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    name = name if colon else host
    return name.lower() in ("localhost", "127.0.0.1", "[::1]") and (not colon or port.isdigit() or not port)


def status_of(server: Server, host: str, path: str, *more: str) -> tuple[int, bytes]:
    """What a request with this Host gets."""
    with server.open() as connection:
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *more, "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        answer = read_until(connection, b"\0\0never")
    return int(answer.split(b" ", 2)[1]), answer


def assert_refused(server: Server, hosts: list[str]) -> None:
    for number, host in enumerate(hosts):
        host = host.format(port=server.port) if "{" in host else host
        status, answer = status_of(server, host, PATHS[number % len(PATHS)])
        assert status in REFUSED, (host, answer)
        assert b'"data"' not in answer, (host, answer)


def test_sixty_others_are_refused(server: Server) -> None:
    assert len(NEAR) >= 60
    assert_refused(server, NEAR)
    assert server.is_well()


def test_three_hundred_others_are_refused(server: Server) -> None:
    assert_refused(server, random_hosts(LARGEST))
    assert server.is_well()


def test_ours_are_not(server: Server) -> None:
    for host in ("localhost", "127.0.0.1", "LocalHost", "[::1]"):
        assert status_of(server, f"{host}:{server.port}", "/v1/models")[0] == 200, host


def test_it_comes_before_everything_else(characters: Path) -> None:
    """Before the key and before the path: who is refused learns nothing."""
    with Server(characters, "--api-key", "k" * 32) as server:
        answers = {status_of(server, "evil.example", path, *more)[0]
                   for path in PATHS for more in ((), (f"Authorization: Bearer {'k' * 32}",))}
        assert len(answers) == 1
        assert answers <= set(REFUSED)


@pytest.mark.parametrize("lines", [[], ["Host: OURS", "Host: evil.example"], ["Host: evil.example", "Host: OURS"],
                                   ["Host: OURS", "Host: OURS"], ["Host : OURS"], [" Host: OURS"],
                                   ["X-Forwarded-Host: OURS", "Host: evil.example"],
                                   ["Forwarded: host=OURS", "Host: evil.example"]])
def test_none_two_and_forwarded_ones_are_refused(server: Server, lines: list[str]) -> None:
    with server.open() as connection:
        asked = "\r\n".join(["GET /v1/models HTTP/1.1", *lines, "Connection: close", "", ""])
        connection.sendall(asked.replace("OURS", server.authority).encode())
        assert int(read_until(connection, b"\0never").split(b" ", 2)[1]) in REFUSED
    assert server.is_well()


def test_a_host_in_the_line_of_the_request_does_not_replace_it(server: Server) -> None:
    with server.open() as connection:
        connection.sendall(b"GET http://127.0.0.1/v1/models HTTP/1.1\r\nHost: evil.example\r\n"
                           b"Connection: close\r\n\r\n")
        assert int(read_until(connection, b"\0never").split(b" ", 2)[1]) in (*REFUSED, 404)


def test_one_that_is_named_is_served_and_no_other(characters: Path) -> None:
    with Server(characters, "--allow-host", "models.home") as server:
        assert status_of(server, f"models.home:{server.port}", "/v1/models")[0] == 200
        assert status_of(server, "models.home.evil.example", "/v1/models")[0] in REFUSED
        assert status_of(server, "evil.models.home", "/v1/models")[0] in REFUSED
        assert server.is_well()
