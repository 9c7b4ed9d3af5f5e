"""The real server in a process of its own, and ways to talk to it: in good manners, and byte by byte."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from typing import Any, NamedTuple

import psutil

from .prefork import Child

PATIENCE = 60.0
"""Seconds for what takes a moment: a bound against hanging."""
BIAS = {"2": -100}
"""What keeps a text from ending of itself."""


class Reply(NamedTuple):
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error, which has to have the shape of OpenAI's."""
        error: dict[str, Any] = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}, self
        assert isinstance(error["message"], str), self
        assert error["message"], self
        return error

    @property
    def events(self) -> list[Any]:
        """What a stream brought, without the [DONE] at its end."""
        assert self.headers["content-type"].startswith("text/event-stream"), self
        return events_of(self.body)


def events_of(body: bytes) -> list[Any]:
    """Raises: AssertionError: it is not a whole stream of events."""
    *events, end = [event for event in body.decode().replace("\r\n", "\n").split("\n\n") if not event.startswith(":")]
    assert end == "", "it breaks off within an event"
    assert events.pop() == "data: [DONE]"
    assert all(event.startswith("data: {") and "\n" not in event for event in events)
    return [json.loads(event.removeprefix("data: ")) for event in events]


def text_of(events: list[Any], index: int = 0) -> str:
    """The text of one choice of a stream."""
    return "".join(choice["text"] for event in events for choice in event["choices"] if choice["index"] == index)


def paths_of_the_application() -> list[str]:
    """Asked of itself, so that a new one is not left out."""
    from tinylm.serving.app import Api

    return [route.path for route in Api(*[None] * 4).router.routes]  # type: ignore[arg-type, attr-defined]


class Server:
    """`tinylm serve`, ready when this has been made. A context manager.

    Attributes:
        url: without a slash at its end.
        authority: what a Host has to be.
        model: the first model's id.
    """

    def __init__(self, folder: Path, *options: object, key: str | None = None, under: tuple[str, ...] = (),
                 environment: Mapping[str, str] | None = None) -> None:
        """
        Args:
            folder: of a model, or of some.
            options: of the command.
            key: sent with each request that says nothing else. It is not given to the server.
            under: a command that the server's is given to.
        """
        self._place = tempfile.TemporaryDirectory()
        self._output, self._errors = (Path(self._place.name, name) for name in ("output", "errors"))
        arguments = ["serve", str(folder), "--port", "0", "--json", *map(str, options)]
        self.process = self._start(arguments, under, environment or {})
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        until(lambda: self._output.read_text().endswith("\n") or self.process.poll() is not None)
        assert self._output.read_text(), f"it does not begin to serve: {self.log}"
        self.ready = json.loads(self._output.read_text())
        self.url: str = self.ready["url"]
        self.host, port = self.url.removeprefix("http://").rsplit(":", 1)
        self.port = int(port)
        self.authority = f"{self.host}:{port}"
        self.model: str = self.ready["models"][0]

    def _start(self, arguments: list[str], under: tuple[str, ...],
               environment: Mapping[str, str]) -> Child | Popen[str]:
        with open(self._output, "w") as output, open(self._errors, "w") as errors:
            if not under and hasattr(os, "fork"):
                return Child(arguments, environment, self._output, self._errors)
            command = [*under, sys.executable, "-m", "tinylm", *arguments]
            return Popen(command, stdout=output, stderr=errors, text=True, env={**os.environ, **environment})

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        if error and "Traceback" in self.log:
            error.add_note(self.log[-4000:])
        self._place.cleanup()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    @property
    def log(self) -> str:
        """What it has written to its standard error."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    @property
    def memory(self) -> int:
        """Bytes."""
        return psutil.Process(self.process.pid).memory_info().rss

    def whole_log(self) -> str:
        """With all that has been asked so far: it is written a little later than it is answered."""
        self.ask("/the/end/of/the/log")
        until(lambda: "/the/end/of/the/log" in self.log)
        return self.log

    def is_well(self) -> bool:
        """It runs, has met no error of its own, and answers a request for a text."""
        assert self.process.poll() is None, self.log
        assert "Traceback" not in self.log, self.log
        return bool(self.complete("a", max_tokens=2, logit_bias=BIAS)["usage"]["completion_tokens"] == 2)

    # ---- in good manners

    def ask(self, path: str, body: Any = None, *, method: str | None = None,
            headers: Mapping[str, str] | None = None, seconds: float = PATIENCE) -> Reply:
        """One request on a connection of its own. A body that is not bytes goes as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if data is None else {"Content-Type": "application/json"}
        given = {**kind, **self.headers, **(headers or {})}
        connection = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=seconds)
        with contextlib.closing(connection):
            connection.request(method or ("GET" if data is None else "POST"), path, data, given)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())

    def fields(self, prompt: Any = "a", **fields: Any) -> dict[str, Any]:
        """The body of a request for a text."""
        return {"model": self.model, "prompt": prompt, **fields}

    def complete(self, prompt: Any = "a", **fields: Any) -> Any:
        """What a request for a text gives."""
        reply = self.ask("/v1/completions", self.fields(prompt, **fields))
        assert reply.status == 200, reply
        return reply.json

    def stream(self, prompt: Any = "a", **fields: Any) -> list[Any]:
        """The events of a streamed text."""
        reply = self.ask("/v1/completions", self.fields(prompt, stream=True, **fields))
        assert reply.status == 200, reply
        return reply.events

    # ---- byte by byte

    @contextlib.contextmanager
    def open(self, seconds: float = PATIENCE) -> Iterator[socket.socket]:
        """A connection. `seconds`: how long one waits for an answer."""
        with socket.create_connection((self.host.strip("[]"), self.port), timeout=seconds) as connection:
            yield connection

    def request(self, body: Any, path: str = "/v1/completions", **headers: str) -> bytes:
        """A request as it goes over the wire. `headers`: with _ for -."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = {"Host": self.authority, "Content-Type": "application/json",
                 "Content-Length": str(len(data)), **self.headers,
                 **{name.replace("_", "-"): value for name, value in headers.items()}}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + data

    # ---- how busy it is

    def gauge(self, name: str) -> float:
        """Of all models together."""
        metrics = self.ask("/metrics")
        assert f"# TYPE {name} " in metrics.body.decode(), metrics
        lines = [line.rpartition(" ") for line in metrics.body.decode().splitlines()]
        return sum(float(value) for label, _, value in lines if label.partition("{")[0] == name)

    @property
    def running(self) -> float:
        """How many texts are being written."""
        return self.gauge("tinylm_running")

    @property
    def waiting(self) -> float:
        """How many texts wait for their turn."""
        return self.gauge("tinylm_waiting")


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    """All that comes up to a mark, and with it perhaps more; or up to the end, if it does not come."""
    heard = b""
    while mark not in heard and (some := connection.recv(65536)):
        heard += some
    return heard


def unchunked(answer: bytes) -> bytes:
    """The body of an answer that came in chunks. Raises: AssertionError: it does not end as it should."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"chunked" in head.lower(), head
    body = b""
    while True:
        size, line_end, rest = rest.partition(b"\r\n")
        assert line_end, "the last chunk is missing"
        if not (length := int(size, 16)):
            return body
        body, rest = body + rest[:length], rest[length + 2:]


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """Waits until something holds; how many seconds that took."""
    began = time.perf_counter()
    while not holds():
        assert time.perf_counter() - began < seconds, f"it does not come true within {seconds} s"
        time.sleep(0.002)
    return time.perf_counter() - began
