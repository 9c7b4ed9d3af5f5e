"""The port that a server listens at is its own."""

from __future__ import annotations

import socket

import pytest

from tinylm.errors import TinyLMError
from tinylm.http import address


def test_a_second_server_finds_the_port_taken() -> None:
    first, = address.bind(address.resolve("127.0.0.1", 0))
    with first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(TinyLMError, match="cannot be listened at"):
            address.bind(address.resolve("127.0.0.1", port))


def test_the_option_of_windows_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux has no SO_EXCLUSIVEADDRUSE: another option stands for it, which can be asked for."""
    monkeypatch.setattr(address, "EXCLUSIVE", socket.SO_KEEPALIVE)
    bound, = address.bind(address.resolve("127.0.0.1", 0))
    with bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
