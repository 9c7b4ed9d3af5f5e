"""Another program stops a run by a file: in good order, as Ctrl-C does, and nothing of it stays for the next run."""

from __future__ import annotations

from pathlib import Path

import pytest

import tinylm
from tinylm.runs.recorder import Recorder
from tinylm.runs.stopping import REQUEST, clear_request, request_stop
from tinylm.training.events import Event, Stepped

SETTINGS = {"size": "0.1M", "steps": 12, "quiet": True, "config": {"train": {"batch_size": 2, "evaluate_every": 6},
                                                                   "model": {"context_length": 16}}}


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    write = Recorder.write

    def write_and_stop(recorder: Recorder, event: Event) -> None:
        write(recorder, event)
        if isinstance(event, Stepped) and event.step == step:
            monkeypatch.undo()
            request_stop(recorder.folder)

    monkeypatch.setattr(Recorder, "write", write_and_stop)


def test_a_run_that_was_asked_to_stop_goes_on_to_the_same_bytes(book: Path, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    tinylm.train(book, out=tmp_path / "whole", **SETTINGS)
    stop_at(monkeypatch, 5)
    tinylm.train(book, out=tmp_path / "stopped", **SETTINGS)
    metrics = tmp_path / "stopped" / "metrics.jsonl"
    assert '"reason": "interrupted"' in metrics.read_text().splitlines()[-1]
    assert '"step": 5' in metrics.read_text().splitlines()[-1]
    assert not (tmp_path / "stopped" / "checkpoints" / REQUEST).exists()
    tinylm.train(out=tmp_path / "stopped", resume=True, quiet=True)
    assert metrics.read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]


def test_a_request_that_an_earlier_run_left_stops_no_later_one(book: Path, tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    stop_at(monkeypatch, 3)
    tinylm.train(book, out=tmp_path / "run", **SETTINGS)
    request_stop(tmp_path / "run")
    tinylm.train(out=tmp_path / "run", resume=True, quiet=True)
    assert '"reason": "finished"' in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1]


def test_a_request_needs_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        request_stop(tmp_path)
    clear_request(tmp_path)
    assert not list(tmp_path.iterdir())
