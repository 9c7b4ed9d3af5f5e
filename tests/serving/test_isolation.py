"""Nothing leaves this machine (promise S14): the system is asked for every address that the server ever speaks to."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from .server import Server

CALLS = "trace=connect,sendto,sendmsg,sendmmsg,bind,socket"


def _works() -> bool:
    if sys.platform != "linux" or not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _works(), reason="needs Linux, strace, and the right to use it")
def test_it_speaks_to_nobody_but_its_clients(runs: Path, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    with Server(runs, under=("strace", "-f", "--seccomp-bpf", "-o", str(log), "-e", CALLS)) as server:
        for model in ("characters", "random_bytes"):
            server.complete(model=model, max_tokens=5)
            server.stream(model=model, max_tokens=5, n=2)
        server.ask("/v1/completions", server.fields("http://192.0.2.1/ https://evil.example", user="http://192.0.2.1/"))
        for path in ("/v1/models", "/healthz", "/metrics", "/openapi.json", "/", "/docs", "/no/such/path"):
            server.ask(path, headers={"Referer": "http://192.0.2.1/", "Forwarded": "for=192.0.2.1"})
        server.ask("/v1/next", {"model": server.model, "prompt": "a"})
        server.ask("/v1/models/no-such")
        psutil.Process(server.process.pid).children()[0].terminate()  # the server itself, below strace
        server.process.wait(60)
    calls = log.read_text()
    assert "bind(" in calls
    addresses = re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', calls)
    spoken_to = {one or other for one, other in addresses}
    assert "127.0.0.1" in spoken_to
    assert all(ipaddress.ip_address(address).is_loopback for address in spoken_to), spoken_to
    assert not re.search(r"sin6?_port=htons\(53\)", calls), "it asks for names"


def test_the_documents_name_no_other_site(server: Server) -> None:
    """No page of the server brings anything from elsewhere into a browser."""
    for path in ("/openapi.json", "/docs", "/", "/redoc"):
        reply = server.ask(path)
        if reply.status == 200:
            assert not re.findall(rb"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", reply.body), path
