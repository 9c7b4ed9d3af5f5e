"""What a person is told before what takes long."""

from pathlib import Path

import pytest

from tinylm.config.overrides import merge_overrides
from tinylm.planning import data
from tinylm.runs import prepare

TEXT = "the cat sat on the mat, and the cat sat on the hat. " * 20


@pytest.mark.parametrize(("is_long", "told"), [
    (True, ["reading    0 megabytes, to make a tokenizer and ids from; the ids are kept for the next time"]),
    (False, [])])
def test_a_long_text_is_announced_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool,
                                                    told: list[str]) -> None:
    file, lines = tmp_path / "text.txt", list[str]()
    file.write_text(TEXT)
    monkeypatch.setattr(data, "LONG_TEXT_BYTES", len(TEXT) + (not is_long))
    prepare.plan_run(file, merge_overrides(size_name="0.1M", steps=1), log=lines.append)
    assert [line for line in lines if not line.startswith("compiling")] == told
