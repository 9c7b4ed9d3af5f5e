"""A run is a process of its own: it outlives the studio, which finds it again, stops it and lets it go on."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from tests.serving.server import until
from tests.studio.conftest import Application
from tests.studio.studio import Studio, studio_of
from tinylm import model_folder
from tinylm.studio.run_records import RunRecord
from tinylm.system.processes import Process


def wait_for(studio: Studio, id: str, *states: str) -> Any:
    """The view of a run once it has one of these states."""
    until(lambda: studio.watch(id)["state"] in states, seconds=240)
    return studio.watch(id)


def steps(view: Any) -> list[int]:
    return [event["step"] for event in view["metrics"] if event["event"] == "step"]


@pytest.mark.timeout(300)
def test_a_run_outlives_the_studio_and_is_found_and_stopped_by_the_next(tmp_path: Path, book: Path) -> None:
    with studio_of(tmp_path / "models") as first:
        pid = start(first, "my book", book)
        first.stop()
        assert psutil.Process(pid).is_running(), "it is no child of the studio's terminal"
        with studio_of(tmp_path / "models") as second:
            view = second.watch("my book")
            assert view["state"] == "training"
            assert 0 < view["seconds_left"] < 480
            assert view["log_tail"][0].startswith("text       --force.txt: 20,000 characters")
            check_views(second, stop(second, "my book"))
            until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
            assert second.is_well()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_is_planned_made_stopped_resumed_exported_deleted_and_restored(tmp_path: Path, book: Path) -> None:
    with studio_of(tmp_path / "models") as studio:
        key = studio.upload("book.txt", book.read_bytes())["text"]
        plan = studio.get("/api/plan", {"texts": [key], "minutes": 1})
        assert plan["forecast"]["parameters"] > 0
        assert all("--" not in sentence for sentence in plan["sentences"])
        start(studio, "ours", book)
        before = stop(studio, "ours")
        studio.get("/api/runs/ours/resume", {"minutes": 9})
        until(lambda: len(steps(studio.watch("ours"))) > len(steps(before)), seconds=240)
        after = stop(studio, "ours")
        assert after["minutes"] == 9
        assert steps(after)[:len(steps(before))] == steps(before)
        page = studio.get("/api/models/ours/export", {"to": "html"})
        assert b"<!doctype html>" in studio.ask(f"/api/exports/{page['file']}").body
        undo = studio.get("/api/models/ours", method="DELETE")["undo"]
        assert studio.get(f"/api/trash/{undo}", {}) == {"id": "ours"}
        assert steps(studio.watch("ours")) == steps(after)
        assert studio.is_well()


def start(studio: Studio, name: str, book: Path) -> int:
    """Starts a run, and waits for its first steps. Returns the number of its process."""
    key = studio.upload("--force.txt", book.read_text(encoding="utf-8")[:20_000])["text"]
    assert studio.get("/api/runs", {"texts": [key], "minutes": 8, "name": name}) == {"id": name}
    again = studio.ask("/api/runs", {"texts": [key], "minutes": 8, "name": name.upper()})
    assert (again.status, again.error["code"]) == (409, "name_taken")
    card = studio.models()[name]
    assert (card["state"], card["has_weights"], card["text"]) == ("training", False, "--force.txt")
    until(lambda: bool(steps(studio.watch(name))), seconds=240)
    assert studio.ask(f"/api/models/{quote(name)}", method="DELETE").error["code"] == "is_training"
    record = studio.folder / ".studio" / "runs" / name / "run.json"
    return int(json.loads(record.read_text())["process"][0])


def stop(studio: Studio, name: str) -> Any:
    """Stops a run. Returns its view."""
    studio.get(f"/api/runs/{quote(name)}/stop", {})
    view = wait_for(studio, name, "stopped", "failed", "ready")
    assert view["state"] == "stopped", view
    assert view["can_resume"]
    return view


def check_views(studio: Studio, whole: Any) -> None:
    """What a page asks for bit by bit is the whole."""
    assert whole["metrics"][0]["event"] == "begin"
    assert whole["metrics"][-1]["event"] == "finished"
    assert whole["baselines"]["unigram"] > 0
    assert all(event["text"] for event in whole["samples"])
    path = studio.folder / "my book" / model_folder.METRICS
    second_line = len(path.read_bytes().splitlines(keepends=True)[0])
    rest = studio.get(f"/api/runs/my%20book?after={second_line}")
    assert rest["metrics"] == whole["metrics"][1:]
    assert studio.get(f"/api/runs/my%20book?after={whole['next']}")["metrics"] == []
    for odd in (second_line + 1, 10**12, "-1", "x", "%00"):
        assert studio.get(f"/api/runs/my%20book?after={odd}")["metrics"] == whole["metrics"], odd
    card = studio.models()["my book"]
    assert (card["state"], card["has_weights"], card["minutes"]) == ("stopped", True, 8)
    assert 0 < card["bits_per_byte"] < 8


@pytest.mark.timeout(300)
def test_a_run_that_is_stopped_before_its_first_step_leaves_nothing(studio: Studio, book: Path) -> None:
    key = studio.upload("book.txt", book.read_bytes())["text"]
    studio.get("/api/runs", {"texts": [key], "minutes": 1, "name": "early"})
    assert studio.get("/api/runs/early/stop", {}) == {"gone": True}
    assert "early" not in studio.models()
    assert studio.ask("/api/runs/early").status == 404
    assert not (studio.folder / "early").exists()
    assert studio.ask("/api/runs/early/stop", {}).status == 404


# ---- without a process


def record(app: Application, name: str, process: Process) -> None:
    app.records.write(name, RunRecord(process, "book.txt", 5.0))


def own_process() -> Process:
    return Process(os.getpid(), psutil.Process().create_time())


def test_a_process_of_the_same_number_is_not_the_run(application: Application) -> None:
    record(application, "book", own_process())
    assert application.cards()["book"]["state"] == "training"
    record(application, "book", own_process()._replace(started=time.time() - 1e6))
    assert application.cards()["book"]["state"] == "ready"


def test_a_run_that_another_program_started_is_seen_by_its_lock(application: Application) -> None:
    with model_folder.locked(application.folder / "book"):
        assert application.cards()["book"]["state"] == "training"
        assert application.ask("/api/models/book", method="DELETE").status == 409
        assert application.ask("/api/models/book", {"name": "other"}, method="PATCH").status == 409
        assert application.ask("/api/runs/book/stop", {}).status == 200
        assert (application.folder / "book" / "checkpoints" / "stop").is_file()
    assert application.cards()["book"]["state"] == "ready"


def test_a_run_that_failed_says_why(application: Application) -> None:
    record(application, "short", own_process()._replace(started=1.0))
    assert "without a word" in application.ask("/api/runs/short").json["error"]
    application.records.log("short").write_text("text  ...\ntinylm: short.txt: there is no text in it. Give some\n")
    card = application.cards()["short"]
    assert (card["state"], card["error"]) == ("failed", "short.txt: there is no text in it. Give some")
    assert application.ask("/api/runs/short").json["error"] == card["error"]
    undo = application.ask("/api/models/short", method="DELETE").json["undo"]
    assert "short" not in application.cards()
    assert application.ask(f"/api/trash/{undo}", {}).json == {"id": "short"}
    assert application.cards()["short"] == card


def test_a_damaged_record_is_no_run(application: Application) -> None:
    for content in ("", "{", "[]", '{"process": 5}', '{"process": [1, 2], "text": 3}', '{"process": ["x", 2]}'):
        record(application, "book", own_process())
        (application.folder / ".studio" / "runs" / "book" / "run.json").write_text(content)
        assert application.cards()["book"]["state"] == "ready", content


def test_what_is_not_training_is_not_stopped_and_without_checkpoints_nothing_goes_on(application: Application) -> None:
    assert application.ask("/api/runs/book/stop", {}).json["error"]["code"] == "not_training"
    for checkpoint in (application.folder / "book" / "checkpoints").iterdir():
        checkpoint.rename(application.folder / checkpoint.name)
    assert application.ask("/api/runs/book/resume", {}).json["error"]["code"] == "no_checkpoint"


def test_a_record_of_numbers_that_json_lacks_is_shown(application: Application) -> None:
    with open(application.folder / "book" / model_folder.METRICS, "a", encoding="utf-8") as file:
        file.write('{"event": "validation", "step": 31, "loss": NaN, "best": false}\nbroken\n[1]\n')
        file.write('{"event": "validation", "step": 32, "loss": 1e999, "best": false}\n')
    view = application.ask("/api/runs/book").json
    assert [(each["step"], each["loss"]) for each in view["metrics"][-2:]] == [(31, None), (32, None)]
    assert application.cards()["book"]["state"] == "ready"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"records": 5}', '{"records": {"seconds": "x"}}', "{"])
def test_a_damaged_checkpoint_is_watched_all_the_same(application: Application, content: str) -> None:
    record(application, "book", own_process())
    for state in (application.folder / "book" / "checkpoints").glob("*/state.json"):
        state.write_text(content)
    assert 0 <= application.ask("/api/runs/book").json["seconds_left"] <= 300
