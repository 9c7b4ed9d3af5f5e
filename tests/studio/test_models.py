"""Models under their names: renamed, thrown away, brought back; nothing is lost on the way."""

from __future__ import annotations

import gzip
import json
import shutil
from base64 import b64decode
from pathlib import Path

import pytest

import tinylm
from tests.studio.conftest import Application
from tests.studio.test_names import tree
from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.interchange.export import export, read_model
from tinylm.studio.workspace import Workspace


def test_a_card_is_what_the_commands_say(application: Application) -> None:
    card = application.cards()["book"]
    assert card["text"] == "book.txt"
    assert card["parameters"] == tinylm.load(application.folder / "book").inspect()["parameters"]["total"]
    assert card["size_bytes"] == (application.folder / "book" / model_folder.WEIGHTS).stat().st_size
    metrics = (application.folder / "book" / model_folder.METRICS).read_text().splitlines()
    assert card["baselines"] == json.loads(metrics[0])["baselines"]
    readme = (application.folder / "book" / model_folder.CARD).read_text()
    assert f"{card['bits_per_byte']:.3f}" in readme
    assert (card["state"], card["has_weights"], card["in_browser"], card["has_chat"]) == ("ready", True, True, False)


def test_a_deleted_model_comes_back_byte_for_byte(application: Application) -> None:
    before = {path: path.read_bytes() for path in (application.folder / "book").rglob("*") if path.is_file()}
    undo = application.ask("/api/models/book", method="DELETE").json["undo"]
    assert list(application.cards()) == ["hello"]
    trash, = application.ask("/api/trash").json["trash"]
    assert (trash["undo"], trash["name"]) == (undo, "book")
    assert application.ask(f"/api/trash/{undo}", {}).json == {"id": "book"}
    assert {path: path.read_bytes() for path in before} == before
    assert application.ask("/api/trash").json == {"trash": []}
    assert application.ask(f"/api/trash/{undo}", {}).status == 404


def test_a_name_that_was_taken_meanwhile_keeps_the_deleted_model_in_the_trash(application: Application) -> None:
    undo = application.ask("/api/models/book", method="DELETE").json["undo"]
    assert application.ask("/api/models/hello", {"name": "book"}, method="PATCH").json == {"id": "book"}
    assert application.ask(f"/api/trash/{undo}", {}).json["error"]["code"] == "name_taken"
    assert application.ask("/api/models/book", {"name": "hello"}, method="PATCH").status == 200
    assert application.ask(f"/api/trash/{undo}", {}).json == {"id": "book"}


def test_what_is_removed_from_the_trash_is_gone(application: Application) -> None:
    undo = application.ask("/api/models/book", method="DELETE").json["undo"]
    assert application.ask(f"/api/trash/{undo}", method="DELETE").status == 200
    assert not any((application.folder / ".studio" / "trash").iterdir())
    assert application.ask(f"/api/trash/{undo}", {}).status == 404


def test_a_model_that_is_renamed_is_asked_under_its_new_name(application: Application) -> None:
    assert application.ask("/api/models/book/explain", {"text": "the"}).status == 200
    assert application.ask("/api/models/book", {"name": " novel "}, method="PATCH").json == {"id": "novel"}
    assert application.ask("/api/models/novel/explain", {"text": "the"}).status == 200
    assert application.ask("/api/models/book/explain", {"text": "the"}).json["error"]["code"] == "model_not_found"
    assert application.ask("/api/models/novel", {"name": "novel"}, method="PATCH").json == {"id": "novel"}
    assert application.ask("/api/models/novel", {"name": "HELLO"}, method="PATCH").status == 409


def test_a_damaged_model_has_a_card_that_says_so(application: Application) -> None:
    (application.folder / "book" / model_folder.CONFIG).write_text("{")
    card = application.cards()["book"]
    assert card["state"] == "failed"
    assert "is not valid JSON" in card["error"]
    for path in ("facts", "weights", "report"):
        assert application.ask(f"/api/models/book/{path}").status == 409, path
    assert application.ask("/api/models/book/explain", {"text": "the"}).status == 503
    assert application.ask("/api/models/book", method="DELETE").status == 200
    assert not any("Traceback" in line for line in application.log)


def test_the_page_gets_the_facts_and_weights_of_the_single_file(application: Application, tmp_path: Path) -> None:
    export(read_model(application.folder / "book"), "html", tmp_path / "book.html")
    page = (tmp_path / "book.html").read_text(encoding="utf-8")
    facts = application.ask("/api/models/book/facts").json
    inside = page.partition('id="facts">')[2].partition("</script>")[0]
    assert facts == json.loads(inside)
    reply = application.ask("/api/models/book/weights")
    weights = page.partition('id="weights">')[2].partition("</script>")[0]
    assert gzip.decompress(reply.body) == gzip.decompress(b64decode(weights))


@pytest.mark.parametrize("to", ["html", "hf", "gguf"])
def test_an_export_is_a_download(application: Application, to: str, tmp_path: Path) -> None:
    before = tree(application.folder)
    made = application.ask("/api/models/book/export", {"to": to}).json
    assert made["name"] == ("book.html" if to == "html" else "book.zip")
    assert "tinylm reads the same model" in made["checks"]
    reply = application.ask(f"/api/exports/{made['file']}")
    assert len(reply.body) == made["bytes"]
    assert reply.headers["content-disposition"] == f'attachment; filename="{made["name"]}"'
    if to == "hf":
        (tmp_path / "book.zip").write_bytes(reply.body)
        shutil.unpack_archive(tmp_path / "book.zip", tmp_path)
        assert (tmp_path / "book" / "model.safetensors").is_file()
    assert tree(application.folder) == before


def test_an_export_that_cannot_be_leaves_nothing_and_few_are_kept(application: Application) -> None:
    for to, dtype in (("nope", None), ("hf", "q8_0"), ("--force", None)):
        assert application.ask("/api/models/hello/export", {"to": to, "dtype": dtype}).status == 400
    exports = application.folder / ".studio" / "exports"
    assert not list(exports.iterdir())
    for _ in range(10):
        assert application.ask("/api/models/hello/export", {"to": "html"}).status == 200
    assert len(list(exports.iterdir())) == 8


def test_the_report_is_kept_apart_from_the_studio(application: Application) -> None:
    reply = application.ask("/api/models/book/report")
    assert reply.status == 200
    assert "sandbox allow-scripts;" in reply.headers["content-security-policy"]
    assert "allow-same-origin" not in reply.headers["content-security-policy"]
    assert b"Content-Security-Policy" in reply.body


def test_a_studio_is_of_a_folder_of_models(two_models: Path, tmp_path: Path) -> None:
    with pytest.raises(TinyLMError, match="is a model, and a studio shows a folder of models"):
        Workspace(two_models / "hello")
    (tmp_path / "file").write_text("")
    with pytest.raises(TinyLMError, match="is no folder that can be written"):
        Workspace(tmp_path / "file")
    Workspace(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder").is_dir()
