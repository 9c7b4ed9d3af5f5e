"""Bodies: read within bounds, parsed strictly, and refused with a cause that a person can mend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from tinylm.http.api import JsonApi
from tinylm.http.body import parse_object, save_body
from tinylm.http.errors import ApiError
from tinylm.http.limits import BODY_BYTES
from tinylm.http.responses import Json

from .application import Notebook, ask


@pytest.mark.parametrize(("body", "values"), [
    (b'{"a": 1}', {"a": 1}), (b'\xef\xbb\xbf{"a": "\xc3\xa9"}', {"a": "é"}), (b'{"a": 85.0}', {"a": 85}),
    (b'{"a": "\\ud83d\\ude42"}', {"a": "🙂"}), (b"{}", {})])
def test_objects_are_read(body: bytes, values: object) -> None:
    assert parse_object(body) == values


@pytest.mark.parametrize(("body", "told"), [
    (b"", "It is empty"), (b"[1]", "JSON object"), (b"'{\"a\": 1}'", "apostrophe"), (b"{'a': 1}", "quotation marks"),
    (b'{\\"a\\": 1}', "backslash"), (b"{a: 1}", "PowerShell"), (b"a=1", "form"), (b'{"a": True}', "true, false"),
    (b'{"a": 1,}', "comma"), (b'{"a": NaN}', "NaN is not a number"), (b'{"a": 1, "a": 2}', "comes twice"),
    (b'{"a": "\\ud83d"}', "surrogate"), (b"\xff\xfe{\0", "UTF-16"), (b"\x1f\x8b", "gzip"), (b'{"a": "\xff"}', "UTF-8"),
    (b"[" * 100_000, "nested")])
def test_others_are_refused_with_the_cause(body: bytes, told: str) -> None:
    with pytest.raises(ApiError, match=told) as error:
        parse_object(body)
    assert error.value.status == 400


def test_a_body_has_bounds_and_is_called_json() -> None:
    app = Notebook().behind()
    assert ask(app, "/echo", json.dumps({"a": "b" * (BODY_BYTES - 9)}).encode()).status == 200
    assert ask(app, "/echo", b" " * (BODY_BYTES + 1)).status == 413
    assert ask(app, "/echo", b"{}", headers={"Content-Length": str(BODY_BYTES + 1)}).status == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        assert ask(app, "/echo", b"{}", headers={"Content-Type": kind}).status == 415
    assert ask(app, "/echo", b"{}", headers={"Content-Type": ""}).status == 415
    assert ask(app, "/echo", b"{}", headers={"Content-Encoding": "gzip"}).status == 415


# ---- bodies that go to the disk


class Saved(JsonApi):
    """Saves what it is sent."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__({"/": {"POST": self.save}})
        self._path, self._most = path, most

    async def save(self, request: Request) -> Response:
        return Json({"bytes": await save_body(request, self._path, self._most)})


def test_a_body_is_saved_as_it_comes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    reply = ask(Saved(tmp_path / "saved", len(data)), "/", data, headers={"content-type": "image/png"})
    assert json.loads(reply.body) == {"bytes": len(data)}
    assert (tmp_path / "saved").read_bytes() == data


@pytest.mark.parametrize("length", ["1001", "", "5", "9" * 30])
def test_a_body_that_is_too_large_is_refused_whatever_it_says_of_its_length(tmp_path: Path, length: str) -> None:
    reply = ask(Saved(tmp_path / "saved", 1000), "/", b"a" * 1001, headers={"content-length": length})
    assert reply.status == 413
    assert "1,000 bytes at most" in reply.body.decode()
    assert not (tmp_path / "saved").exists() or (tmp_path / "saved").stat().st_size <= 1000
