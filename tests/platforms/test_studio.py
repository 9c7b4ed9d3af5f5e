"""R14 for the studio: names, the trash, texts and exports under Windows' rules for files, while records are watched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from tests.studio.conftest import Application
from tinylm import model_folder
from tinylm.runs.stopping import request_stop

pytestmark = [pytest.mark.needs_posix, pytest.mark.usefixtures("rules")]  # on Windows the rules are the system's own


@pytest.fixture
def application(hello_run: Path, book_run: Path, tmp_path: Path) -> Application:
    for run, name in ((hello_run, "hello"), (book_run, "book")):
        shutil.copytree(run, tmp_path / "models" / name)
    return Application(tmp_path / "models")


def test_a_model_that_was_asked_and_watched_is_renamed_deleted_and_restored(application: Application) -> None:
    for path, body in (("explain", {"text": "the"}), ("copied", {"text": "the"}), ("facts", None), ("weights", None)):
        assert application.ask(f"/api/models/book/{path}", body).status == 200
    assert application.ask("/api/runs/book").json["state"] == "ready"
    assert application.ask("/api/models/book", {"name": "novel"}, method="PATCH").json == {"id": "novel"}
    undo = application.ask("/api/models/novel", method="DELETE").json["undo"]
    assert application.ask(f"/api/trash/{undo}", {}).json == {"id": "novel"}
    assert application.ask("/api/models/novel/explain", {"text": "the"}).status == 200
    assert application.cards()["novel"]["state"] == "ready"
    assert not application.log


def test_texts_and_exports_come_and_go(application: Application) -> None:
    latin = "Über den Wolken muß die Freiheit wohl grenzenlos sein. ".encode("windows-1252") * 20
    keys = [application.ask(f"/api/texts?name={name}", data).json["text"]
            for name, data in (("a.txt", b"one text"), ("a.txt", latin))]
    source = application.texts.source(keys)
    assert sorted(path.name for path in source.iterdir()) == ["a (2).txt", "a.txt"]
    for key in keys:
        assert application.ask(f"/api/texts/{key}", method="DELETE").status == 200
    assert not list((application.folder / ".studio" / "texts").iterdir())
    made = application.ask("/api/models/hello/export", {"to": "html"}).json
    assert len(application.ask(f"/api/exports/{made['file']}").body) == made["bytes"]
    assert not application.log


def test_a_run_is_asked_to_stop_while_its_folder_is_locked(application: Application) -> None:
    folder = application.folder / "book"
    with model_folder.locked(folder):
        request_stop(folder)
        assert application.ask("/api/models/book", method="DELETE").status == 409
    assert application.ask("/api/models/book", method="DELETE").status == 200
