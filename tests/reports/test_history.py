"""Records are read back whatever has happened to them, and a rollback is told from what stayed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from tinylm.reports.history import History, read_events
from tinylm.training.events import (
    Began,
    Event,
    Finished,
    RolledBack,
    Sampled,
    Stepped,
    Validated,
    to_json_line,
)

BEGAN = Began(1000, 50, 16, 900, 1800, 100, 200, {"uniform": 4.0, "unigram": 2.5}, 0.0, 0.0)
ALL: list[Event] = [BEGAN, Stepped(1, 3.0, 0.01, 1.5, {"embed": 0.5, "layers.0": 1.4}, 64, 0.1),
                    Validated(1, 3.1, True), Sampled(1, "It", " was"), RolledBack(2, 1, "layers.0", 0.5),
                    Finished(1, "not finite", 1, 3.1, 64, "layers.0")]


def step(number: int, loss: float = 2.0) -> Stepped:
    return Stepped(number, loss, 0.01, 1.0, {}, 64 * number, 0.1 * number)


def read(path: Path, content: str | bytes) -> list[Event]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_events(path))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path / "metrics.jsonl", "".join(map(to_json_line, ALL))) == ALL


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    events = read(tmp_path / "metrics.jsonl", to_json_line(step(1, math.inf)) + to_json_line(step(2, math.nan)))
    losses = [event.loss for event in events if isinstance(event, Stepped)]
    assert losses == [math.inf, pytest.approx(math.nan, nan_ok=True)]


@pytest.mark.parametrize("line", [
    to_json_line(step(2))[:40], "", "{}", "[1]", "3", "null", '"step"', "[" * 100_000, '{"event": []}',
    '{"event": "step"}',
    '{"event": "celebrated", "step": 2}', '{"event": "validation", "step": "many", "loss": 1.0, "best": true}',
    '{"event": "validation", "step": -1, "loss": 1.0, "best": true}',
    '{"event": "validation", "step": 1' + "0" * 30 + ', "loss": 1.0, "best": true}',
    '{"event": "sample", "step": 2, "prompt": {}, "text": ""}', b"\xff\xfe\x00",
], ids=lambda line: str(line[:44]))
def test_a_damaged_line_is_left_out(tmp_path: Path, line: str | bytes) -> None:
    line = line.encode() if isinstance(line, str) else line
    before, after = to_json_line(step(1)).encode(), to_json_line(step(3)).encode()
    assert read(tmp_path / "metrics.jsonl", before + line + b"\n" + after) == [step(1), step(3)]


def test_lines_of_other_versions(tmp_path: Path) -> None:
    """An earlier one had no gradient of each layer; a later one may tell more."""
    fields = json.loads(to_json_line(step(1)))
    fields.pop("layer_gradients")
    lines = json.dumps(fields) + "\n" + json.dumps(fields | {"mood": "good"})
    assert read(tmp_path / "metrics.jsonl", lines) == [step(1), step(1)]


def test_the_last_line_may_be_cut_anywhere(tmp_path: Path) -> None:
    whole = "".join(map(to_json_line, ALL))
    for length in range(0, len(whole) - 1, 7):
        events = read(tmp_path / "metrics.jsonl", whole[:length])
        assert events == ALL[:len(events)]
        assert len(events) >= whole[:length].count("\n")


def test_a_history_sorts_events_by_kind() -> None:
    history = History.of(ALL[:3] + ALL[5:])
    assert (history.began, history.steps, history.validations, history.finished) == (BEGAN, [ALL[1]], [ALL[2]], ALL[5])


def test_a_rollback_takes_back_what_it_undid() -> None:
    undone = [step(3, 9.0), step(4, 9.5)]
    events = [step(1), step(2), Validated(2, 2.5, True), *undone, Validated(4, 2.4, True),
              RolledBack(5, 2, "embed", 0.5), step(3), step(4), Validated(4, 2.6, False)]
    history = History.of(events)
    assert history.steps == [step(1), step(2), step(3), step(4)]
    assert history.rolled_back == [undone]
    assert [each.loss for each in history.validations] == [2.5, 2.6]
    assert history.best == Validated(2, 2.5, True)


def test_a_run_that_goes_on_is_not_finished() -> None:
    ended = Finished(1, "finished", 1, None, 64)
    assert History.of([step(1), ended]).finished == ended
    assert History.of([step(1), ended, step(2)]).finished is None


def test_a_validation_that_is_not_finite_is_never_the_best() -> None:
    history = History.of([Validated(1, math.nan, False), Validated(2, 3.0, True), Validated(3, math.inf, False)])
    assert history.best == Validated(2, 3.0, True)
    assert History.of([Validated(1, math.nan, False)]).best is None


def test_bits_a_nat_are_those_of_the_text_that_is_judged() -> None:
    assert History.of([BEGAN]).bits_per_byte_per_nat == pytest.approx(100 / 200 / math.log(2))
    nothing_held_out = Began(1000, 50, 16, 900, 1800, 0, 0, {}, 0.0, 0.0)
    assert History.of([nothing_held_out]).bits_per_byte_per_nat == pytest.approx(900 / 1800 / math.log(2))
    assert History.of([]).bits_per_byte_per_nat is None


def test_bits_for_what_tokens_leave_out_are_those_of_the_text_that_is_judged() -> None:
    assert History.of([]).left_out_bits == History.of([BEGAN]).left_out_bits == 0
    assert History.of([replace(BEGAN, left_out_bits=50.0)]).left_out_bits == 50 / 200
    for damaged in (math.nan, math.inf, -1.0):
        assert History.of([replace(BEGAN, left_out_bits=damaged)]).left_out_bits == 0
