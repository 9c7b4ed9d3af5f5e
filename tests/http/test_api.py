"""An application of routes: one function a path and method, and an error in JSON for whatever has none."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tests.http.application import ask
from tinylm.http.api import JsonApi
from tinylm.http.errors import ApiError
from tinylm.http.responses import Json


async def show(request: Request) -> Response:
    return Json({"shown": request.path_params["name"]})


async def remove(_: Request) -> Response:
    raise ApiError(409, "It is in use", code="in_use")


API = JsonApi({"/things/{name}": {"GET": show, "DELETE": remove}, "/things": {"POST": remove}})


def test_a_path_has_a_function_for_each_method() -> None:
    assert ask(API, "/things/a%20b").json == {"shown": "a b"}
    assert ask(API, "/things/a", method="HEAD").status == 200
    refused = ask(API, "/things/a", method="DELETE")
    assert (refused.status, refused.json["error"]["code"]) == (409, "in_use")


def test_another_method_names_those_that_there_are() -> None:
    reply = ask(API, "/things/a", method="PATCH")
    assert reply.status == 405
    assert set(reply.headers["allow"].split(", ")) == {"GET", "HEAD", "DELETE"}
    assert reply.json["error"]["message"] in ("/things/a is asked by GET or DELETE, and this was PATCH",
                                              "/things/a is asked by DELETE or GET, and this was PATCH")


def test_a_path_without_a_route_is_not_found() -> None:
    for path in ("/", "/things/", "/things/a/b", "/Things", "//things"):
        reply = ask(API, path)
        assert (reply.status, reply.json["error"]["code"]) == (404, "not_found"), path
