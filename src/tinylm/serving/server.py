"""The server: from a folder to a socket that answers, and to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType

import uvicorn

from tinylm.config.schema import Storage
from tinylm.errors import TinyLMError
from tinylm.http import address
from tinylm.http.access import Door, Hosts
from tinylm.http.connection import Connection
from tinylm.http.errors import unavailable
from tinylm.http.limits import HEADER_BYTES, Limits
from tinylm.http.log import Log
from tinylm.serving.app import build
from tinylm.serving.model_registry import Shelf

KEEP_ALIVE = 30
"""Seconds that an idle connection is kept."""
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:-]+|null")
LEAST_KEY = 8
"""Characters of a key; any program could guess a shorter one."""


@dataclass(frozen=True)
class Place:
    """Where to listen, and to whom.

    Attributes:
        allowed_hosts: further names of this server, `name` or `name:port`.
        allowed_origins: web sites whose pages may ask, such as `https://example.org`.

    Raises:
        TinyLMError: a host or an origin that is written in another way, and so would never fit.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    key: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.allowed_hosts:
            if not name or set(name) & set("/*@ "):
                raise TinyLMError(f"{name!r} is no name of a server", where="--allow-host",
                                  remedy="Write NAME or NAME:PORT, without http:// and without a path")
        for origin in self.allowed_origins:
            if not _ORIGIN.fullmatch(origin):
                raise TinyLMError(f"{origin!r} is no origin of pages", where="--allow-origin",
                                  remedy="Write it as browsers send it, without a path and in small letters, such as "
                                         "https://example.org or http://localhost:3000")


def serve(run: str, place: Place, limits: Limits, ready: Callable[[str, Sequence[str]], None],
          storage: Storage = "fp32") -> int:
    """Serves until it is asked to stop. Returns the exit code: 130 after Ctrl-C.

    Args:
        run: a model folder, or a folder of such.
        ready: called with the address and the ids of the models, when the first request can come.
        storage: how the weights are kept (`LanguageModel.load`).

    Raises:
        TinyLMError: no model, no such address, a port that is taken, or a key that is missing or too short.
    """
    sockets = _listeners(place)
    try:
        return asyncio.run(_serve(run, place, limits, storage, sockets, ready))
    finally:
        for bound in sockets:
            bound.close()


def _listeners(place: Place) -> list[socket.socket]:
    _check_key(place.key)
    addresses = address.resolve(place.host, place.port)
    if place.key is None and not all(map(address.is_loopback, addresses)):
        raise TinyLMError(f"others than this machine could reach {place.host!r}, and without a key all of them could "
                          "ask", where="--host", remedy="Set a key in the environment, TINYLM_API_KEY, or leave "
                                                        "--host out")
    sockets = address.bind(addresses)
    assert place.key or all(address.is_loopback(address.bound_address(bound)) for bound in sockets)
    return sockets


def _check_key(key: str | None) -> None:
    if key is not None and (len(key) < LEAST_KEY or not key.isascii() or not key.isprintable() or " " in key):
        raise TinyLMError(f"has to be {LEAST_KEY} characters or more: letters, digits and signs, no spaces",
                          where="the API key")


async def _serve(run: str, place: Place, limits: Limits, storage: Storage, sockets: list[socket.socket],
                 ready: Callable[[str, Sequence[str]], None]) -> int:
    log = Log()
    shelf = Shelf(run, limits, log, storage)
    await _warm_up(shelf)
    bound = [address.bound_address(each) for each in sockets]
    port = bound[0][1][1]
    names = [address.name_of(each) for each in bound if not address.is_any(each)]
    hosts = Hosts([*names, *place.allowed_hosts], [port], any(map(address.is_any, bound)))
    door = Door(hosts, frozenset(place.allowed_origins), place.key)
    server = Server(limits, shelf, log)
    server.config.app = build(shelf, limits, door, log, lambda: len(server.server_state.connections))
    shown = "127.0.0.1" if address.is_any(bound[0]) else address.name_of(bound[0])
    server.on_start = partial(ready, f"http://{shown}:{port}", shelf.ids())
    try:
        await server.serve(sockets)
    finally:
        shelf.end()
        shelf.join(2.0)
        log.flush()
    return 130 if server.stopped_by == signal.SIGINT else 0


async def _warm_up(shelf: Shelf) -> None:
    """Loads a model and lets it write a token, so that whatever has to be compiled is compiled before anybody waits."""
    folders = shelf.folders()
    newest = sorted(folders, key=shelf.created, reverse=True)
    for id in newest:
        try:
            served = await shelf.get(id)
            order = served.scheduler.submit(served.lm.generator.requests("", max_tokens=1, beams=1), streams=False)
            await order.news()
            served.release()
            return
        except Exception as error:
            if id == newest[-1]:
                raise TinyLMError(str(error), where=str(folders[id])) from None


class Server(uvicorn.Server):
    """uvicorn's, which stops as the command line does.

    Attributes:
        stopped_by: the signal.
        on_start: called when it listens.
    """

    def __init__(self, limits: Limits, shelf: Shelf, log: Log) -> None:
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        super().__init__(uvicorn.Config(
            "", http=partial(Connection, limits, log), ws="none", lifespan="off", loop="asyncio",  # type: ignore[arg-type]
            log_config=None, access_log=False, proxy_headers=False, server_header=False, backlog=address.BACKLOG,
            timeout_keep_alive=KEEP_ALIVE, h11_max_incomplete_event_size=HEADER_BYTES))
        self._limits, self._shelf = limits, shelf
        self.stopped_by: int | None = None
        self.on_start: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Whatever is under way has its grace, and then ends with a word."""
        loop = asyncio.get_running_loop()
        loop.call_later(self._limits.grace, self._shelf.end, unavailable("The server is being stopped"))
        loop.call_later(self._limits.grace + 1, self._abort)
        await super().shutdown(sockets)

    def _abort(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The first one stops in good order, the second at once."""
        if self.should_exit:
            sys.stderr.flush()
            os._exit(130)
        self.should_exit, self.stopped_by = True, sig
