"""No name, key or text that a browser sends becomes a path outside its place, an option or an error of the server."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.studio.conftest import Application
from tests.studio.payloads import ALL
from tinylm.system.files import legal_name

each_name = pytest.mark.parametrize("names", [ALL[::6], pytest.param(ALL, marks=pytest.mark.slow)], ids=["some", "all"])


def tree(folder: Path) -> set[str]:
    """All paths in a folder but those that the studio keeps in its hidden one."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return {path for path in paths if ".studio" not in path.split("/")}


def tree_beside(folder: Path) -> set[str]:
    return {path for path in tree(folder.parent) if not path.startswith(f"{folder.name}/")}


def test_there_are_three_hundred() -> None:
    assert len(ALL) >= 300


@each_name
def test_a_model_gets_a_name_of_a_folder_or_keeps_its_own(application: Application, names: list[str]) -> None:
    beside = tree_beside(application.folder)
    for name in names:
        reply = application.ask("/api/models/hello", {"name": name}, method="PATCH")
        assert reply.status in (200, 400, 409), (name, reply)
        inside = {path.name for path in application.folder.iterdir() if path.name != ".studio"}
        if reply.status == 200:
            legal, = inside - {"book"}
            assert legal == name.strip() == legal_name(name.strip())
            back = application.ask(f"/api/models/{quote(legal, safe='')}", {"name": "hello"}, method="PATCH")
            assert back.status == 200, (name, back)
        else:
            assert inside == {"hello", "book"}, name
    assert tree_beside(application.folder) == beside
    assert not application.log


@each_name
def test_a_text_lies_under_its_key_whatever_it_is_called(application: Application, names: list[str]) -> None:
    before, beside = tree(application.folder), tree_beside(application.folder)
    for number, name in enumerate(names):
        path = f"/api/texts?name={quote(name, safe='', errors='surrogatepass')}"
        reply = application.ask(path, f"text number {number}".encode())
        assert reply.status in (200, 400), (name, reply)  # a name may promise a format that the text has not
        if reply.status == 200:
            key = reply.json["text"]
            kept = [each.name for each in (application.folder / ".studio" / "texts" / key).iterdir()]
            assert sorted(kept) == sorted([".about.json", reply.json["name"]])
            assert application.ask(f"/api/texts/{key}", method="DELETE").status == 200
    assert tree(application.folder) == before
    assert tree_beside(application.folder) == beside
    assert not list((application.folder / ".studio" / "texts").iterdir())
    assert not application.log


@each_name
def test_an_unknown_id_or_key_is_an_error_that_quotes_it(application: Application, names: list[str]) -> None:
    before = tree(application.folder)
    for name in names:
        spelled = quote(name, safe="", errors="surrogatepass")
        for path, method in ((f"/api/models/{spelled}", "DELETE"), (f"/api/models/{spelled}/facts", "GET"),
                             (f"/api/models/{spelled}/report", "GET"), (f"/api/runs/{spelled}", "GET"),
                             (f"/api/runs/{spelled}/stop", "POST"), (f"/api/trash/{spelled}", "POST"),
                             (f"/api/trash/{spelled}", "DELETE"), (f"/api/texts/{spelled}", "DELETE"),
                             (f"/api/exports/{spelled}", "GET"), (f"/static/{spelled}", "GET")):
            reply = application.ask(path, method=method)
            assert reply.status in (404, 405), (path, method, reply)
            assert reply.headers["content-type"] == "application/json"
    assert tree(application.folder) == before
    assert not application.log
