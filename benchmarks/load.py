"""A light client in a process of its own: streams that are only counted, and clients that are slow on purpose.

    python -m benchmarks.load streams HOST PORT COUNT SECONDS BODY
    python -m benchmarks.load slow HOST PORT COUNT SECONDS BODY

BODY is a completion request that streams and asks for its usage. Each prints one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import socket
import sys
import time
from typing import Any

END = b"data: [DONE]\n\n\r\n0\r\n\r\n"
PATIENCE = 60.0


def request(host: str, port: int, body: str, *, length: int | None = None) -> bytes:
    """A request for a text as it goes over the wire. `length`: what it says of its body, if not the truth."""
    return (f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length or len(body.encode())}\r\n\r\n{body}").encode()


# ---- streams


class Stream:
    """A connection that asks, counts what comes, and asks again."""

    def __init__(self, address: tuple[str, int], asked: bytes) -> None:
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._asked, self._tail = asked, b""
        self.tokens, self.requests, self.error = 0, 0, ""

    def ask(self) -> None:
        self.socket.send(self._asked)  # so short a request goes out in one piece
        self._tail = b""

    def read(self) -> bool:
        """Takes what has come. Whether the answer has ended, well or not."""
        heard = self.socket.recv(1 << 18)
        if not self._tail and not heard.startswith(b"HTTP/1.1 200"):
            self.error = heard[:300].decode(errors="replace") or "hung up"
        elif not heard or b'"error"' in heard:
            self.error = heard[-300:].decode(errors="replace") or "hung up"
        self._tail = (self._tail + heard)[-700:]
        if self._tail.endswith(END):
            self.tokens += int(re.findall(rb'"completion_tokens":(\d+)', self._tail)[-1])
            self.requests += 1
            return True
        return bool(self.error)


def streams(host: str, port: int, count: int, seconds: float, body: str) -> dict[str, Any]:
    """So many at the same time, each with one request after another for so long, at least with one."""
    opened = [Stream((host, port), request(host, port, body)) for _ in range(count)]
    began = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for each in opened:
            selector.register(each.socket, selectors.EVENT_READ, each)
            each.ask()
        while selector.get_map():
            ready = selector.select(PATIENCE)
            if not ready:
                raise SystemExit(f"nothing came for {PATIENCE:.0f} s")
            for key, _ in ready:
                if key.data.read():
                    if time.perf_counter() - began < seconds and not key.data.error:
                        key.data.ask()
                    else:
                        selector.unregister(key.fileobj)
    taken = time.perf_counter() - began
    for each in opened:
        each.socket.close()
    return {"seconds": taken, "tokens": [each.tokens for each in opened],
            "requests": sum(each.requests for each in opened), "errors": [each.error for each in opened if each.error]}


# ---- slow clients


class SlowClients:
    """Connections that live as slowly as they can: a byte at a time of a head, or of a body; silence; or an answer that
    is hardly read. One that is hung up on is opened anew."""

    def __init__(self, host: str, port: int, count: int, body: str) -> None:
        self._address = (host, port)
        self._says = [b"GET /v1/models HTTP/1.1\r\n" + b"X: a\r\n" * 2000,
                      request(host, port, " " * 100_000), b"", request(host, port, body)]
        self._at_once = [0, self._says[1].index(b"\r\n\r\n") + 4, 0, len(self._says[3])]
        self._connections: list[socket.socket | None] = [None] * count
        self._sent = [0] * count
        self.hung_up_on = 0

    def live(self) -> None:
        """A moment of each."""
        for number, connection in enumerate(self._connections):
            try:
                if connection is None:
                    self._open(number)
                else:
                    self._go_on(number, connection)
            except OSError:
                self.hung_up_on += 1
                self._close(number)

    def _open(self, number: int) -> None:
        connection = socket.socket()
        self._connections[number] = connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1)
        connection.connect(self._address)
        connection.setblocking(False)
        kind = number % 4
        self._sent[number] = connection.send(self._says[kind][:self._at_once[kind]]) if self._at_once[kind] else 0

    def _go_on(self, number: int, connection: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            if not connection.recv(1):
                raise ConnectionError
        rest = self._says[number % 4][self._sent[number]:][:1]
        self._sent[number] += connection.send(rest) if rest else 0

    def _close(self, number: int) -> None:
        if connection := self._connections[number]:
            connection.close()
        self._connections[number] = None

    def close(self) -> None:
        for number in range(len(self._connections)):
            self._close(number)


def slow(host: str, port: int, count: int, seconds: float, body: str) -> dict[str, Any]:
    """So many for so long."""
    with contextlib.closing(SlowClients(host, port, count, body)) as clients:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            clients.live()
            time.sleep(0.25)
        return {"hung_up_on": clients.hung_up_on}


if __name__ == "__main__":
    what, host, port, count, seconds, body = sys.argv[1:]
    work = {"streams": streams, "slow": slow}[what]
    print(json.dumps(work(host, int(port), int(count), float(seconds), body)))
