"""Addresses to listen at: a host name is judged by the addresses that it resolves to, never by its spelling."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from tinylm.errors import TinyLMError

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]
BACKLOG = 512
EXCLUSIVE = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
"""The option under which a port is taken as soon as one program listens at it, and free as soon as none does. On
Windows SO_REUSEADDR would let a second program listen at the same port."""


def resolve(host: str, port: int) -> list[Address]:
    """Resolves `host` to its IPv4 and IPv6 addresses, each once.

    Raises:
        TinyLMError: there is none, or the port cannot be.
    """
    if not 0 <= port <= 65535:
        raise TinyLMError(f"{port} is no port", where="--port", remedy="They go from 1 to 65535; 0: any that is free")
    try:
        if not host or "\0" in host:
            raise OSError("it is empty" if not host else "it is no text")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TinyLMError(f"{host!r} is no address to listen at ({reason})", where="--host",
                          remedy="Most use 127.0.0.1") from None
    kinds = (socket.AF_INET, socket.AF_INET6)
    return list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found  # type: ignore[misc]
                              if family in kinds))


def is_loopback(address: Address) -> bool:
    """True if only this machine can reach the address."""
    ip = _ip(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)


def is_wildcard(address: Address) -> bool:
    """True for 0.0.0.0 and ::, which stand for all addresses of the machine."""
    ip = _ip(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_unspecified)


def name_of(address: Address) -> str:
    """The address as a Host header spells it, without the port."""
    ip = _ip(address)
    return f"[{ip}]" if ip.version == 6 else str(ip)


def bind(addresses: Sequence[Address]) -> list[socket.socket]:
    """Binds a socket to each address, all at one port. Clients cannot connect before the sockets listen.

    Raises:
        TinyLMError: the port is taken or forbidden.
    """
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        port = addresses[0][1][1]
        for family, sockaddr in addresses:
            # With the protocol named, asyncio sends each piece at once; else it waits 40 ms for the one before.
            bound = stack.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            try:
                bound.setsockopt(socket.SOL_SOCKET, EXCLUSIVE, 1)
                if family == socket.AF_INET6:
                    bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int("." not in sockaddr[0]))
                bound.bind((sockaddr[0], port, *sockaddr[2:]))
            except OSError as error:
                raise TinyLMError(f"cannot be listened at ({error.strerror})", where=f"{sockaddr[0]} port {port}",
                                  remedy="Choose another --port; 0 takes any that is free") from None
            sockets.append(bound)
            port = bound.getsockname()[1]
        stack.pop_all()
    return sockets


def bound_address(bound: socket.socket) -> Address:
    """The address that a socket is bound to, with the port that the system chose for port 0."""
    return bound.family, bound.getsockname()


def _ip(address: Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(address[1][0].partition("%")[0])
