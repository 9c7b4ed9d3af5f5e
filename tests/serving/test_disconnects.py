"""A text that nobody waits for any more makes room within 200 ms (promise S7)."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import BIAS, Server, events_of, read_until, text_of, unchunked, until

SECONDS = 0.2
ENDLESS = 1_000_000
RESET = b"\1\0\0\0\0\0\0\0"
"""Closes a connection by a reset."""


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[Server]:
    """One whose texts may be very long."""
    with Server(runs, "--max-tokens", ENDLESS) as server:
        server.is_well()
        yield server


def begin(server: Server, connection: socket.socket, tokens: int = 1, **fields: object) -> None:
    """A text without an end, of which so many tokens are read."""
    body = server.fields(max_tokens=ENDLESS, stream=True, logit_bias=BIAS, **fields)
    connection.sendall(server.request(body))
    heard = read_until(connection, b"data: ")
    assert heard.startswith(b"HTTP/1.1 200"), heard
    for _ in range(tokens):
        heard = read_until(connection, b"data: ")


def seconds_until_free(server: Server, tokens: int, *, reset: bool) -> float:
    with server.open() as connection:
        begin(server, connection, tokens)
        assert server.running == 1
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return until(lambda: server.running == 0)


def assert_soon_free(server: Server, count: int) -> None:
    chance = random.Random(count)
    taken = sorted(seconds_until_free(server, chance.randint(0, 60), reset=bool(number % 2)) for number in range(count))
    assert taken[-1] < SECONDS, taken[-10:]
    assert server.is_well()


def test_fifty_that_leave_at_random_tokens(server: Server) -> None:
    assert_soon_free(server, 50)


@pytest.mark.slow
def test_three_hundred_that_leave_at_random_tokens(server: Server) -> None:
    assert_soon_free(server, 300)


def test_many_that_leave_at_once(server: Server) -> None:
    with contextlib.ExitStack() as opened:
        for _ in range(8):
            begin(server, opened.enter_context(server.open()))
        assert server.running == 8
    assert until(lambda: server.running == 0) < SECONDS


def test_all_texts_of_one_request(server: Server) -> None:
    with server.open() as connection:
        begin(server, connection, n=3)
        assert server.running == 3
    assert until(lambda: server.running == 0) < SECONDS


def test_one_that_leaves_is_no_matter_to_the_others(server: Server) -> None:
    alone = server.complete("a", max_tokens=2000, seed=5, logit_bias=BIAS)["choices"][0]["text"]
    with server.open() as stays:
        stays.sendall(server.request(server.fields(max_tokens=2000, seed=5, stream=True, logit_bias=BIAS)))
        for _ in range(5):
            with server.open() as leaves:
                begin(server, leaves)
        heard = read_until(stays, b"\r\n0\r\n\r\n")
    assert text_of(events_of(unchunked(heard))) == alone


def test_so_is_one_whose_answer_comes_whole(server: Server) -> None:
    for _ in range(10):
        with server.open() as connection:
            connection.sendall(server.request(server.fields(max_tokens=ENDLESS, logit_bias=BIAS)))
            until(lambda: server.running == 1)
        assert until(lambda: server.running == 0) < SECONDS


def test_one_that_waits_for_its_turn_leaves_the_queue(runs: Path) -> None:
    with Server(runs, "--texts", 1, "--max-tokens", ENDLESS) as server, server.open() as first:
        begin(server, first)
        with server.open() as second:
            second.sendall(server.request(server.fields(max_tokens=5, stream=True)))
            until(lambda: server.waiting == 1)
        assert until(lambda: server.waiting == 0) < SECONDS
        assert server.running == 1
