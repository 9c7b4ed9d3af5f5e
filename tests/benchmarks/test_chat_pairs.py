"""The pairs of the invented bakery: as many as they should be, and near questions that stand in no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chat_pairs import make_pairs, write
from tinylm.chat.files import read_chat_file


@pytest.mark.parametrize("wording", range(1, 6))
def test_near_questions_are_new_and_their_answers_are_not(tmp_path: Path, wording: int) -> None:
    pairs, near = make_pairs(wording)
    assert (len(pairs), len(near)) == (300, 60)
    asked = {question for question, _ in pairs}
    assert len(asked) == 300
    assert not asked & {question for question, _ in near}
    assert {answer for _, answer in near} < {answer for _, answer in pairs}
    write(tmp_path, wording)
    for name, expected in (("bakery.csv", pairs), ("near.csv", near)):
        found = read_chat_file(tmp_path / name)
        assert [tuple(message.content for message in each) for each in found.conversations] == expected
