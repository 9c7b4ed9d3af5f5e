"""A server of one application: from options to sockets, and from the first request to a stop in good order."""

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

from tinylm.errors import TinyLMError
from tinylm.system.extras import missing_extra

try:
    import uvicorn
    from starlette.types import ASGIApp
except ModuleNotFoundError:
    raise missing_extra("serve", "a server") from None

from tinylm.http import address
from tinylm.http.access import AccessPolicy, AllowedHosts
from tinylm.http.connection import Connection
from tinylm.http.errors import ApiError, unavailable
from tinylm.http.limits import HEADER_BYTES, ConnectionLimits

KEEP_ALIVE_SECONDS = 30
"""Seconds that an idle connection is kept."""
MIN_KEY_LENGTH = 8
"""Characters of a key; any program could guess a shorter one."""
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:-]+|null")


@dataclass(frozen=True)
class BindOptions:
    """Options of listening: the address, and who may ask.

    Attributes:
        host: a name or an address of this machine.
        port: 0: any that is free.
        key: the API key; None: no key is needed, which is allowed at loopback addresses alone.
        allowed_hosts: further names of this server, `name` or `name:port`.
        allowed_origins: web sites whose pages may ask, such as `https://example.org`.

    Raises:
        TinyLMError: a host or an origin in a spelling that no browser sends, and that would never match.
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

    def listen(self) -> list[socket.socket]:
        """Binds the sockets. Clients cannot connect before a server runs on them.

        Raises:
            TinyLMError: no such address, a port that is taken, or a key that is missing or too short.
        """
        _check_key(self.key)
        addresses = address.resolve(self.host, self.port)
        if self.key is None and not all(map(address.is_loopback, addresses)):
            raise TinyLMError(f"others than this machine could reach {self.host!r}, and without a key all of them "
                              "could ask", where="--host", remedy="Set a key in the environment, TINYLM_API_KEY, or "
                                                                  "leave --host out")
        sockets = address.bind(addresses)
        assert self.key or all(address.is_loopback(address.bound_address(bound)) for bound in sockets)
        return sockets

    def access(self, sockets: Sequence[socket.socket]) -> AccessPolicy:
        """The policy of a server that listens at these sockets."""
        bound = [address.bound_address(each) for each in sockets]
        names = [address.name_of(each) for each in bound if not address.is_wildcard(each)]
        hosts = AllowedHosts([*names, *self.allowed_hosts], [bound[0][1][1]], any(map(address.is_wildcard, bound)))
        return AccessPolicy(hosts, frozenset(self.allowed_origins), self.key)


def url_of(sockets: Sequence[socket.socket]) -> str:
    """The URL at which this machine reaches a server, without a path."""
    bound = address.bound_address(sockets[0])
    name = "127.0.0.1" if address.is_wildcard(bound) else address.name_of(bound)
    return f"http://{name}:{bound[1][1]}"


def _check_key(key: str | None) -> None:
    if key is not None and (len(key) < MIN_KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key):
        raise TinyLMError(f"has to be {MIN_KEY_LENGTH} characters or more: letters, digits and signs, no spaces",
                          where="the API key")


class Server(uvicorn.Server):
    """A server of one ASGI application: uvicorn's, which stops as the command line does.

    Args:
        app: the application.
        limits: of its connections.
        log: takes a line for the operator.
        on_start: called when the server listens.
        on_stop: called with an error once the grace of a stopping server is over: what still runs ends with the error.

    Attributes:
        stopped_by: the number of the signal; None before one.
    """

    def __init__(self, app: ASGIApp, limits: ConnectionLimits, log: Callable[[str], None], *,
                 on_start: Callable[[], None], on_stop: Callable[[ApiError], None]) -> None:
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        super().__init__(uvicorn.Config(
            app, http=partial(Connection, limits, log), ws="none", lifespan="off", loop="asyncio",  # type: ignore[arg-type]
            log_config=None, access_log=False, proxy_headers=False, server_header=False, backlog=address.BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS, h11_max_incomplete_event_size=HEADER_BYTES))
        self._limits, self._on_start, self._on_stop = limits, on_start, on_stop
        self.stopped_by: int | None = None

    @property
    def n_connections(self) -> int:
        """Open connections."""
        return len(self.server_state.connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets running requests end within the grace; then they end with an error, and their connections close."""
        loop = asyncio.get_running_loop()
        loop.call_later(self._limits.grace, self._on_stop, unavailable("The server is being stopped"))
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
        """Stops in good order at the first signal, at once at the second."""
        if self.should_exit:
            sys.stderr.flush()
            os._exit(130)
        self.should_exit, self.stopped_by = True, sig
