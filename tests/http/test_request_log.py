"""The log of requests: a line for each, its status, and a response whatever fails inside."""

from __future__ import annotations

import json

from starlette.types import Receive, Scope, Send

from tinylm.http.request_log import LoggingMiddleware
from tinylm.http.responses import ClientGone

from .application import Notebook, ask


def test_a_request_has_a_line_an_id_and_a_count() -> None:
    notebook = Notebook()
    reply = ask(notebook.behind(), "/echo", b'{"a": 1, "b": 2}')
    assert json.loads(reply.body) == {"a": 1, "b": 2}
    line, = notebook.log
    assert "POST /echo  200  2 fields  " in line
    assert line.endswith(" ms")
    assert len(reply.headers["x-request-id"]) == 16
    assert notebook.observed == [("POST", "/echo", 200)]


def test_what_a_request_holds_is_released_when_it_has_ended_the_last_first() -> None:
    notebook = Notebook()
    ask(notebook.behind(), "/echo", b"no json")
    assert notebook.cleaned == ["second", "first"]
    assert notebook.observed == [("POST", "/echo", 400)]


def test_a_failure_is_an_error_for_the_client_and_a_traceback_in_the_log() -> None:
    notebook = Notebook()
    reply = ask(notebook.behind(), "/fail")
    assert (reply.status, json.loads(reply.body)["error"]["type"]) == (500, "server_error")
    assert b"as it is asked to" not in reply.body
    assert "RuntimeError: as it is asked to" in notebook.log[0]
    assert "/fail  500" in notebook.log[1]


def test_a_path_without_a_route_is_quoted_and_a_method_of_no_kind_is_other() -> None:
    notebook = Notebook()
    ask(notebook.behind(), "/no\n/such", method="FROB")
    assert notebook.observed[0][:2] == ("OTHER", "unknown")
    assert "\n" not in notebook.log[0]


def test_a_client_that_has_gone_is_no_failure() -> None:
    notebook = Notebook()

    async def gone(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientGone

    app = LoggingMiddleware(gone, notebook.router, notebook.log.append, lambda *_: None, 1.0)
    assert ask(app, "/echo").status == 0
    assert "unknown" not in notebook.log[0]
    assert "  499  " in notebook.log[0]
