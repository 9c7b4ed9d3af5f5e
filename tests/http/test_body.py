"""Bodies: read within bounds, parsed strictly, and refused with a cause that a person can mend."""

from __future__ import annotations

import json

import pytest

from tinylm.http.body import parse_object
from tinylm.http.errors import ApiError
from tinylm.http.limits import BODY_BYTES

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
