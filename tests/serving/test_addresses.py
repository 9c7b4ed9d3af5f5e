"""Who has no key is served on this machine only (promise S1)."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import psutil
import pytest

from .prefork import Child
from .server import until

LOOPBACK = ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2", "127.1", "127.0.1", "2130706433", "0x7f000001",
            "0177.0.0.1", "::ffff:127.0.0.1", "LOCALHOST", "0:0:0:0:0:0:0:1"]
"""Spellings of this machine: served here, or refused."""
OUTSIDE = ["0.0.0.0", "", "0", "::", "[::]", "0x0", "00000000", "*", "::0", "0.0", "0:0:0:0:0:0:0:0",
           "::ffff:0.0.0.0", "000.000.000.000", "255.255.255.255", "224.0.0.1", " 0.0.0.0", "no-such-host.invalid",
           "127.0.0.1,0.0.0.0", "127.0.0.1 0.0.0.0", "127.0.0.1\n0.0.0.0", "%00", "unix:/tmp/socket", "fd://3"]
"""Spellings of everywhere, of nowhere, and of things that are no host."""
KEY = "a-key-of-some-length-0123456789"
NO_KEYS = ["", " ", "short", "clé-de-quelque-longueur", "a key with spaces in it"]


def outer_address() -> list[str]:
    """One by which others reach this machine, if there is any."""
    return [address.address for addresses in psutil.net_if_addrs().values() for address in addresses
            if address.family.name == "AF_INET" and not ipaddress.ip_address(address.address).is_loopback][:1]


def is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


@pytest.fixture(scope="module")
def found(characters: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str | None], Any]:
    """What comes of each host and key. A key of None: the option is left out."""
    cases = [*((host, None) for host in (*LOOPBACK, *OUTSIDE, *outer_address())),
             *((host, KEY) for host in ("0.0.0.0", "127.0.0.1", *outer_address())),
             *(("0.0.0.0", key) for key in NO_KEYS)]
    return {(host, key): tried(tmp_path_factory.mktemp("tried"), characters, host, key) for host, key in cases}


def tried(place: Path, folder: Path, host: str, key: str | None) -> Any:
    """The exit code (None: it serves), the addresses on which it listens, and what it says."""
    output, errors = place / "output", place / "errors"
    for file in (output, errors):
        file.touch()
    options = ["--host", host, *([] if key is None else ["--api-key", key])]
    server = Child(["serve", str(folder), "--port", "0", "--json", *options], {}, output, errors)
    until(lambda: output.read_text().endswith("\n") or server.poll() is not None)
    code = server.poll()
    sockets = psutil.Process(server.pid).net_connections() if code is None else []
    server.kill()
    return {"code": code, "listens": [each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN],
            "said": errors.read_text(encoding="utf-8")}


@pytest.fixture(scope="module")
def without_key(found: dict[tuple[str, str | None], Any]) -> dict[str, Any]:
    return {host: each for (host, key), each in found.items() if key is None}


def test_there_are_thirty_spellings() -> None:
    assert len({*LOOPBACK, *OUTSIDE}) >= 30


def test_nobody_else_is_served_without_a_key(without_key: dict[str, Any]) -> None:
    for host, each in without_key.items():
        assert all(map(is_loopback, each["listens"])), (host, each)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_is(without_key: dict[str, Any], host: str) -> None:
    assert without_key[host]["code"] is None
    assert without_key[host]["listens"]


def test_what_is_refused_is_told_in_a_sentence(without_key: dict[str, Any]) -> None:
    refused = {host: each for host, each in without_key.items() if each["code"] is not None}
    assert {*OUTSIDE, *outer_address()} <= {*refused}
    for host, each in refused.items():
        assert each["code"] == 2, (host, each)
        assert each["said"].startswith("tinylm: "), (host, each)
        assert "Traceback" not in each["said"], (host, each)
    for host in ("0.0.0.0", "::", *outer_address()):
        assert "TINYLM_API_KEY" in refused[host]["said"]


def test_with_a_key_everybody_is(found: dict[tuple[str, str | None], Any]) -> None:
    for host in ("0.0.0.0", "127.0.0.1", *outer_address()):
        assert found[host, KEY]["listens"] == [host]


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_is_no_key_opens_nothing(found: dict[tuple[str, str | None], Any], key: str) -> None:
    assert found["0.0.0.0", key]["code"] == 2
    assert KEY not in found["0.0.0.0", key]["said"]
