"""No request makes the studio fail: every body has an answer below 500, and leaves the models as they were."""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.studio.conftest import Application
from tests.studio.studio import Studio
from tests.studio.test_names import tree

SCALARS = (st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
           | st.text(max_size=20)
           | st.sampled_from(["hello", "0.1", "attn", "1.mlp", "tokens", "change,tokens", "#5", "how are", "\x00"]))
JSON = st.recursive(SCALARS, lambda inner: (st.lists(inner, max_size=4)
                                            | st.dictionaries(st.text(max_size=8), inner, max_size=4)),
                    max_leaves=8)
FIELDS = {
    "/api/models/hello/explain": ("text", "ids", "head", "token", "against", "position", "off", "mean", "patch", "at",
                                  "step", "weight", "show", "top"),
    "/api/models/hello/copied": ("text",),
    "/api/models/hello/export": ("to", "dtype"),
    "/api/plan": ("texts", "minutes", "name"),
    "/api/runs": ("texts", "minutes", "name"),
    "/api/runs/hello/resume": ("minutes", "x"),
    "/api/runs/hello/stop": ("x",),
}
"""The routes that take a body, with their fields."""
WRITE = "/api/models/hello/write"
WRITE_FIELDS = ("prompt", "ids", "settings", "seed")


def bodies(fields: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Bodies that are nearly right, any JSON, and any bytes."""
    near = st.dictionaries(st.sampled_from(fields), JSON, max_size=len(fields))
    return st.one_of(near.map(encoded), JSON.map(encoded), st.binary(max_size=60))


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def many(fast: int) -> Any:
    return settings(max_examples=fast, deadline=None, derandomize=True, database=None,
                    suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def app(two_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Application:
    folder = tmp_path_factory.mktemp("requests") / "models"
    shutil.copytree(two_models, folder)
    shutil.rmtree(folder / "hello" / "checkpoints")  # so that no run goes on
    return Application(folder)


@pytest.mark.parametrize("count", [25, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("path", FIELDS)
def test_every_body_has_an_answer(app: Application, path: str, count: int) -> None:
    before = tree(app.folder)

    @many(count)
    @given(bodies(FIELDS[path]))
    def check(body: bytes) -> None:
        reply = app.ask(path, body)
        assert reply.status < 500, (reply, app.log)
        if reply.status != 200:
            assert reply.json["error"]["message"], reply

    check()
    assert not app.log
    assert tree(app.folder) == before


@pytest.mark.parametrize("count", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_whatever_is_asked_of_a_text_that_is_written_has_an_answer(studio: Studio, count: int) -> None:
    @many(count)
    @given(bodies(WRITE_FIELDS))
    def check(body: bytes) -> None:
        reply = studio.ask(WRITE, body)
        assert reply.status < 500, (reply, studio.log)

    check()
    assert studio.is_well()


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_query_and_path_has_an_answer(app: Application, count: int) -> None:
    @many(count)
    @given(st.sampled_from(["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT"]), st.text(string.printable, max_size=12),
           st.text(max_size=12))
    def check(method: str, path: str, query: str) -> None:
        spelled = quote(path, safe="/", errors="surrogatepass"), quote(query, errors="surrogatepass")
        for begin in ("/", "/api/", "/api/runs/", "/api/models/"):
            body = b"{}" if method == "PATCH" else None
            reply = app.ask(f"{begin}{spelled[0]}?after={spelled[1]}", body, method=method)
            assert reply.status < 500, (reply, app.log)

    check()
    assert not app.log


def test_bodies_are_bounded(app: Application) -> None:
    assert app.ask("/api/models/hello/explain", b'{"text": "' + b"a" * 2_000_000 + b'"}').status == 413
    assert app.ask("/api/models/hello/explain", {"text": "a" * 100_001}).status == 400
    assert app.ask("/api/models/hello/explain", {"ids": [5] * 65}).status == 400, "no longer than the context"
    assert app.ask("/api/models/hello/explain", b"{}", headers={"content-type": "text/plain"}).status == 415
