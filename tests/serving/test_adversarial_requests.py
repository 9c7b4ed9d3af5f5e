"""No request crashes the server, wedges it or makes it swell (promise S5): 300 by hand, and it answers after each."""

from __future__ import annotations

import contextlib
import random
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .adversarial_requests import FIELDS, FINE, NOT_JSON, NOT_TEXT, PUZZLING, REFUSED, Wrong, get, post, with_field
from .server import BIAS, Server, read_until, until

NO_JSON = ("NaN", "Infinity", "0" * 400)
"""In a value that no JSON may hold, or none need: it is refused before anything is known of fields."""
SWELLS = 256 << 20
"""Bytes that it may have more after all of them: its allocator's, for a few megabytes in each of some threads."""


@pytest.fixture(autouse=True, scope="module")
def _does_not_swell(server: Server) -> Iterator[None]:
    server.is_well()
    before = server.memory
    yield
    assert server.memory < before + SWELLS


@pytest.fixture(autouse=True)
def _still_answers(server: Server) -> Iterator[None]:
    yield
    assert server.is_well()


def answer_to(server: Server, data: bytes, *, hurry: bool = False) -> bytes:
    """All that comes until it hangs up.

    Args:
        hurry: one answer is enough; and where none comes within a moment, our half of the connection is closed.
    """
    heard = b""
    with server.open(seconds=20) as connection, contextlib.suppress(ConnectionError):
        with contextlib.suppress(ConnectionError):  # it need not take in all of it
            connection.sendall(data.replace(b"OURS", server.authority.encode()))
        if hurry and not select.select([connection], [], [], 0.2)[0]:
            connection.shutdown(socket.SHUT_WR)
        while (some := connection.recv(65536)) and not (hurry and is_whole(heard + some)):
            heard += some
        heard += some
    return heard


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length:")
    return bool(end and length) and len(body) >= int(length.split()[0])


@pytest.mark.parametrize("name", REFUSED)
def test_broken_requests_are_refused(server: Server, name: str) -> None:
    answer = answer_to(server, REFUSED[name], hurry=True)
    assert not answer or answer.split(b" ")[1].startswith(b"4") or answer.split(b" ")[1] in (b"501", b"505"), answer
    assert b"root:" not in answer


@pytest.mark.parametrize("name", PUZZLING)
def test_puzzling_requests_are_answered(server: Server, name: str) -> None:
    answer = answer_to(server, PUZZLING[name])
    assert answer.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 5" not in answer
    if name == "a hundred at once":
        assert answer.count(b"HTTP/1.1 200") == 100


def test_what_follows_an_unclear_length_is_no_request(server: Server) -> None:
    """What one proxy takes for a body and another for a request."""
    for head in (f"Content-Length: {len(FINE)}\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding : chunked\r\n",
                 "Transfer-Encoding: x, chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n"):
        answer = answer_to(server, post(head, "0\r\n\r\n") + get("/metrics", "Connection: close\r\n"), hurry=True)
        assert b"tinylm_running" not in answer, head


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/next", "/v1/chat/completions"])
def test_what_is_no_json_object_is_refused(server: Server, path: str) -> None:
    for body in [*map(str.encode, NOT_JSON), *NOT_TEXT]:
        reply = server.ask(path, body)
        assert reply.status in (400, 404, 413, 422), (body[:80], reply)
        assert reply.error["type"] == "invalid_request_error", body[:80]


@pytest.mark.parametrize("wrong", FIELDS, ids=lambda wrong: f"{wrong.field}={wrong.value[:20]}")
def test_wrong_values_are_refused_by_name(server: Server, wrong: Wrong) -> None:
    reply = server.ask("/v1/completions", with_field(wrong))
    assert reply.status in ((400, 404) if wrong.field == "model" else (400,)), reply
    assert reply.error["type"] == "invalid_request_error"
    if all(word not in wrong.value for word in NO_JSON):
        assert (reply.error["param"] or "").split(".")[0].split("[")[0] == wrong.field
    assert len(reply.body) < 2000


def test_a_field_that_is_unknown_is_named(server: Server) -> None:
    reply = server.ask("/v1/completions", server.fields(temprature=1))
    assert reply.status == 400
    assert reply.error["param"] == "temprature"
    assert "temperature" in reply.error["message"]


def test_a_field_twice_is_refused(server: Server) -> None:
    reply = server.ask("/v1/completions", b'{"model": "characters", "prompt": "a", "prompt": "b", "max_tokens": 1}')
    assert reply.status in (200, 400), reply


@pytest.mark.parametrize("prompt", ["\0", "a\0b", "\u2028", "\x7f\x1b[31m", "<eos>", "\ufeff", "\U0010ffff", "\ufffe",
                                    "a" * 50_000, ""])
def test_odd_prompts_are_text(server: Server, prompt: str) -> None:
    """Of the model of bytes, which knows every text."""
    told = server.complete(prompt, model="random_bytes", max_tokens=2, echo=True, logit_bias=BIAS)
    assert told["choices"][0]["text"].startswith(prompt)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.99])
def test_a_request_that_breaks_off_is_forgotten(server: Server, share: float) -> None:
    data = server.request(server.fields(max_tokens=5))
    for _ in range(5):
        with server.open() as connection:
            connection.sendall(data[:int(len(data) * share)])
    assert server.running == server.waiting == 0


def test_one_that_hangs_up_before_its_answer_is_forgotten(server: Server) -> None:
    for _ in range(20):
        with server.open() as connection:
            connection.sendall(server.request(server.fields(max_tokens=1000, logit_bias=BIAS)))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # by a reset, not by an end
    until(lambda: server.running == server.waiting == 0)


def test_many_requests_on_one_connection_are_answered_in_turn(server: Server) -> None:
    with server.open() as connection:
        for number in range(1, 30):
            connection.sendall(server.request(server.fields(max_tokens=number, logit_bias=BIAS)))
            head, _, body = read_until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            while len(body) < length:
                body += connection.recv(65536)
            assert f'"completion_tokens":{number}'.encode() in body.replace(b" ", b"")


HEAVY = {
    "a long prompt": {"prompt": "ab" * 500_000, "max_tokens": 1},
    "a long prompt of bytes": {"prompt": "🙂é" * 50_000, "max_tokens": 1, "model": "random_bytes"},
    "a long prompt of ids": {"prompt": [20] * 250_000, "max_tokens": 1},
    "a long prompt that is told of": {"prompt": "ab" * 8_000, "echo": True, "logprobs": 5, "max_tokens": 1},
    "many prompts": {"prompt": ["ab" * 4_000] * 64, "n": 2, "max_tokens": 3},
    "many texts": {"prompt": ["a"] * 8, "n": 16, "max_tokens": 300, "logit_bias": BIAS},
    "many probabilities": {"n": 16, "max_tokens": 1000, "logprobs": 5, "logit_bias": BIAS},
    "many penalties": {"max_tokens": 4096, "repetition_penalty": 1.1, "typical_p": 0.9, "top_p": 0.9, "min_p": 0.01},
    "long stops": {"max_tokens": 4096, "stop": ["a" * 499 + letter for letter in "bcde"], "logit_bias": BIAS},
}


@pytest.mark.parametrize("name", HEAVY)
def test_the_heaviest_requests_keep_nobody_waiting(server: Server, name: str) -> None:
    """While one is answered, so are others: within two seconds, which bounds a hanging and no speed."""
    with ThreadPoolExecutor(1) as pool:
        heavy = pool.submit(server.ask, "/v1/completions", {**server.fields(), **HEAVY[name]})
        while not heavy.done():
            assert server.ask("/healthz", seconds=2).status == 200
            assert server.ask("/v1/completions", server.fields(max_tokens=1), seconds=2).status in (200, 429)
    assert heavy.result().status == 200, heavy.result().body[:300]


@pytest.mark.slow
def test_the_heaviest_requests_again_and_again_take_no_more_memory(runs: Path) -> None:
    """The most that they ever take is reached within some rounds: which of them asks at the same time as which other
    thread is chance."""
    with Server(runs) as server:
        memory = []
        for _ in range(12):
            for fields in HEAVY.values():
                assert server.ask("/v1/completions", {**server.fields(), **fields}).status == 200
            memory.append(server.memory)
        assert max(memory[6:]) < 1.1 * max(memory[:6]), memory


def test_what_would_fill_the_memory_is_refused(server: Server) -> None:
    """The probabilities of four million tokens, for one."""
    asked = server.fields(["a"] * 64, n=16, max_tokens=4096, logprobs=5)
    assert server.ask("/v1/completions", asked).error["param"] == "logprobs"


@pytest.mark.slow
def test_random_changes_of_a_good_request(server: Server) -> None:
    """2,000 of them, byte by byte: answered or hung up on, never with an error of the server's."""
    chance, good = random.Random(1), server.request(server.fields(max_tokens=1), Connection="close")
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            place = chance.randrange(len(data))
            new = chance.choice((b"", chance.randbytes(1), b"\r\n", b"\0", b" ", b'"', b"9"))
            data[place:place + chance.choice((0, 1, 1, 4))] = new
        answer = answer_to(server, bytes(data), hurry=True)
        assert not answer or answer.split(b" ")[1][:1] in b"24" or answer.split(b" ")[1] == b"505", (data, answer)
