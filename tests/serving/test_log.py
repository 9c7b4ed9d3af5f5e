"""The log tells of requests, and never of what was in them; nor does it let a client write lines of its own into it."""

from __future__ import annotations

from pathlib import Path

from .server import BIAS, Server, read_until

KEY = "a-key-of-some-length-0123456789"
SECRET = "my-secret-prompt"


def test_neither_prompts_nor_keys_nor_texts_are_in_it(runs: Path) -> None:
    with Server(runs, "--api-key", KEY, key=KEY) as server:
        told = server.complete(SECRET, max_tokens=30, logit_bias=BIAS, stop="secret-stop", user="secret-user")
        server.stream(SECRET, max_tokens=3)
        server.complete([[20, 21, 22]], max_tokens=3)
        for wrong in (SECRET + "☃", [SECRET, 1], {"secret": SECRET}):
            assert server.ask("/v1/completions", server.fields(wrong)).status == 400
        server.ask("/v1/completions", server.fields(SECRET, **{"secret-field": SECRET}))
        server.ask("/v1/completions", server.fields(SECRET, model="secret-model"))
        server.ask("/v1/completions", SECRET.encode())
        server.ask(f"/v1/models?secret={SECRET}&key={KEY}")
        server.ask("/v1/models", headers={"Authorization": "Bearer secret-wrong-key"})
        server.ask("/v1/next", {"model": server.model, "prompt": SECRET})
        log = server.whole_log()
        assert "/v1/completions" in log
        assert "secret" not in log
        assert KEY not in log
        assert told["choices"][0]["text"][:10] not in log
        assert KEY not in str(server.ready)


def test_each_request_has_a_line_with_its_status(runs: Path) -> None:
    with Server(runs) as server:
        server.complete(max_tokens=5)
        server.ask("/v1/completions", server.fields(n=-1))
        server.ask("/no/such/path")
        lines = [line for line in server.whole_log().splitlines() if "/v1/completions" in line or "/no/such" in line]
        assert len(lines) == 3
        for line, status in zip(lines, ("200", "400", "404"), strict=True):
            assert f" {status}" in line


def test_a_client_cannot_write_lines_or_drive_a_terminal(runs: Path) -> None:
    with Server(runs) as server:
        for path in (b"/a%0aforged", b"/a%0d%0aforged", b"/a%1b[31mforged", b"/a\x1b[31mforged", b"/a%e2%80%a8forged",
                     "/a\u2028forged".encode(), b"/%c2%9bforged", b"/" + b"a" * 5000):
            with server.open() as connection:
                connection.sendall(b"GET " + path + b" HTTP/1.1\r\nUser-Agent: \x1b[31m\r\nConnection: close\r\n"
                                   + f"Host: {server.authority}\r\n\r\n".encode())
                read_until(connection, b"\0never")
        server.ask("/v1/completions", server.fields(model="\x1b[31m\nforged"))
        log = server.whole_log()
        assert not [line for line in log.splitlines() if line.startswith("forged")]
        assert all(character.isprintable() or character == "\n" for character in log)
        assert max(map(len, log.splitlines())) < 1000


def test_nothing_is_written_into_a_models_folder(characters: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in characters.rglob("*"))
    with Server(characters) as server:
        server.complete(max_tokens=5)
        server.stop()
    assert sorted((path, path.stat().st_mtime_ns) for path in characters.rglob("*")) == before
