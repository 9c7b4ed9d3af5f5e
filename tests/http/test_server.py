"""A second server: an application without models on the sockets, limits, log and stop of tinylm.http."""

from __future__ import annotations

import asyncio
import doctest
import http.client
import importlib
import json
import pkgutil
import subprocess
import sys
import threading

import pytest

import tinylm.http
from tinylm.errors import TinyLMError
from tinylm.http.errors import ApiError
from tinylm.http.limits import ConnectionLimits
from tinylm.http.server import BindOptions, Server, url_of

from .application import Notebook

MODULES = sorted(module.name for module in pkgutil.iter_modules(tinylm.http.__path__, "tinylm.http."))


def test_it_serves_stops_and_tells(capfd: pytest.CaptureFixture[str]) -> None:
    notebook, options, heard = Notebook(), BindOptions(port=0), list[int]()
    sockets = options.listen()
    port = int(url_of(sockets).rpartition(":")[2])

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for host in (f"127.0.0.1:{port}", "evil.example"):
            headers = {"Content-Type": "application/json", "Host": host}
            connection.request("POST", "/echo", json.dumps({"a": 1}), headers)
            reply = connection.getresponse()
            reply.read()
            heard.append(reply.status)
        heard.append(server.n_connections)
        connection.close()
        server.should_exit = True

    def start() -> None:
        threading.Thread(target=client, daemon=True).start()

    stopped: list[ApiError] = []
    server = Server(notebook.behind(options.access(sockets)), ConnectionLimits(grace=1.0), notebook.log.append,
                    on_start=start, on_stop=stopped.append)
    asyncio.run(server.serve(sockets))
    assert heard == [200, 421, 1]
    assert notebook.observed == [("POST", "/echo", 200), ("POST", "unknown", 421)]
    assert (server.stopped_by, stopped) == (None, [])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("options", "where"), [
    ({"host": "0.0.0.0"}, "--host"), ({"key": "short"}, "API key"), ({"key": "with some spaces"}, "API key"),
    ({"port": 70_000}, "--port"), ({"allowed_hosts": ("http://a",)}, "--allow-host"),
    ({"allowed_origins": ("https://a/b",)}, "--allow-origin")])
def test_what_cannot_be_is_refused_before_a_socket_is_bound(options: dict[str, object], where: str) -> None:
    with pytest.raises(TinyLMError) as error:
        BindOptions(**options).listen()  # type: ignore[arg-type]
    assert where in error.value.where


def test_it_imports_nothing_of_models() -> None:
    code = f"import sys\nfor name in {MODULES}: __import__(name)\n" \
           "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'numpy', 'pydantic') " \
           "or name.startswith(('tinylm.serving', 'tinylm.lm', 'tinylm.generation'))])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("name", [*MODULES, "tinylm.serving.reading", "tinylm.serving.openapi", "tinylm.reports.table"])
def test_examples_in_docstrings_are_so(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
