"""The example of docs/SERVING.md works behind a real nginx: the name, the key, a stream, and a client that leaves."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from .server import BIAS, Server, events_of, until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")),
                                                   reason="there is no nginx, or no openssl")]
PAGE = Path(__file__).parents[2] / "docs" / "SERVING.md"
NAME, KEY = "models.example.org", "a-key-of-some-length-0123456789"
AROUND = """daemon off; pid PLACE/pid; error_log PLACE/errors; events {}
http { access_log off; client_body_temp_path PLACE/b; proxy_temp_path PLACE/p; fastcgi_temp_path PLACE/f;
       uwsgi_temp_path PLACE/u; scgi_temp_path PLACE/s; EXAMPLE }"""


@contextmanager
def nginx(place: Path, server: Server) -> Iterator[int]:
    """Its port."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
                    "-keyout", place / "models.key", "-out", place / "models.pem"], check=True, capture_output=True)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    example = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    for theirs, ours in (("listen 443", f"listen 127.0.0.1:{port}"), ("/etc/ssl", str(place)),
                         ("127.0.0.1:8000", server.authority)):
        assert theirs in example
        example = example.replace(theirs, ours)
    (place / "nginx.conf").write_text(AROUND.replace("PLACE", str(place)).replace("EXAMPLE", example))
    with subprocess.Popen(["nginx", "-c", place / "nginx.conf"], stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: is_open(port))
            yield port
        finally:
            process.terminate()


def is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_the_example_works(characters: Path, tmp_path: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = {"Host": NAME, "Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with Server(characters, "--allow-host", NAME, "--api-key", KEY, key=KEY) as server, \
            nginx(tmp_path, server) as port, ExitStack() as opened:
        long = json.dumps(server.fields(max_tokens=4000, n=16, stream=True, logit_bias=BIAS))

        def ask(body: str | None = None, **other: str) -> http.client.HTTPResponse:
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
            opened.callback(connection.close)
            path = "/v1/completions" if body else "/v1/models"
            connection.request("POST" if body else "GET", path, body, {**headers, **other})
            return opened.enter_context(connection.getresponse())

        assert json.loads(ask().read())["data"][0]["id"] == "characters"
        assert ask(Host="evil.example").status == 421
        assert ask(Authorization="Bearer x").status == 401
        stream = ask(long)
        begun = stream.read1(1000)
        assert server.running > 0  # it comes as it is written
        assert events_of(begun + stream.read())[-1]["choices"][0]["finish_reason"] == "length"
        ask(long).read1(10)
        opened.close()
        until(lambda: server.running == 0)
        assert server.is_well()
