"""What the studio's page makes of numbers and records, in node: the history of a run is that of reports/history.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.page.node import make_folder, run
from tinylm.inspection.places import find_places
from tinylm.reports.history import History, read_events
from tinylm.training.events import Began, Event, RolledBack, Stepped, Validated, to_json_line

BEGAN = Began(1000, 50, 64, 900, 1000, 120, 150, {"ngram": 2.0}, 0.0, 0.0, left_out_bits=30.0)


def stepped(step: int, loss: float) -> Stepped:
    return Stepped(step, loss, 0.01, 1.0, {}, 64 * step, 0.1)


RUN: list[Event] = [
    BEGAN, Validated(1, 4.0, True), *(stepped(step, 4 - step / 100) for step in range(1, 121)),
    Validated(100, 3.0, True), Validated(120, 9.0, False), RolledBack(121, 100, "layers.0", 0.5),
    *(stepped(step, 3 - step / 1000) for step in range(101, 201)), Validated(200, 2.5, True)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    history = History.of(RUN)
    beside = {"bits_per_nat": history.bits_per_byte_per_nat, "left_out_bits": history.left_out_bits}
    lines = [json.loads(to_json_line(event)) for event in RUN]
    parts = [lines[:90], lines[90:125], lines[125:], []]
    again = [{"metrics": lines, "next": 5, **beside}]  # the records are told from their beginning
    return run(make_folder(tmp_path_factory.mktemp("node")), "studio_parts.mjs", {
        "news": [{"metrics": part, "next": number, **beside} for number, part in enumerate(parts)] + again,
        "copied": [[["ab", "\U0001f642", "", "cd", "e"], [{"start": 1, "end": 3}]], [["ab"], []],
                   [["a", "b"], [{"start": 1, "end": 2}, {"start": 0, "end": 1}]]],
        "places": ["layers.1.head.0", "layers.0.mlp", "layers.11.head.12"],
        "times": [1, 20, 60, 89, 90, 300, 5400, 7260], "sizes": [999, 1000, 12_345, 1_400_000, 2_000_000_000]})


def test_the_history_is_that_of_python(found: Any, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("".join(map(to_json_line, RUN)))
    history = History.of(read_events(tmp_path / "metrics.jsonl"))
    ratio, left_out = history.bits_per_byte_per_nat, history.left_out_bits
    assert ratio is not None
    assert history.best is not None
    assert found["bits"] == pytest.approx([each.loss * ratio + left_out for each in history.validations])
    assert found["seen"][-1] == {"step": 200, "best": pytest.approx(history.best.loss * ratio + left_out),
                                 "validations": 3, "next": 5}


def test_it_grows_as_the_records_come_in(found: Any) -> None:
    assert [each["step"] for each in found["seen"]] == [88, 100, 200, 200, 200]
    assert [each["validations"] for each in found["seen"]] == [1, 2, 3, 3, 3]


def test_a_curve_has_few_points_and_keeps_its_ends(found: Any) -> None:
    steps = [point["step"] for point in found["smoothed"]]
    assert (steps[0], steps[-1]) == (1, 200)
    assert len(steps) <= 51
    assert steps == sorted(steps)


def test_tokens_in_a_copied_stretch(found: Any) -> None:
    assert found["copied"] == [[True, True, False, False, False], [False], [True, True]]


def test_parts_are_named_as_python_names_them(found: Any, hello_run: Path) -> None:
    from tinylm.model_folder import read_config

    assert found["places"] == ["1.0", "0.mlp", "11.12"]
    assert len(find_places(",".join(found["places"][:2]), read_config(hello_run).model, "off")) == 2


def test_times_and_sizes_in_words(found: Any) -> None:
    assert found["times"] == ["1 second", "20 seconds", "1 minute", "89 seconds", "2 minutes", "5 minutes",
                              "1 hour 30 minutes", "2 hours 1 minute"]
    assert found["sizes"] == ["999 bytes", "1.0 kB", "12 kB", "1.4 MB", "2.0 GB"]
