"""Checkpoints under Windows' rules: the tests of elsewhere once more, and what only these rules ask for."""

from pathlib import Path

import pytest

from tests.training.test_checkpoint import (  # noqa: F401
    Checkpoints,
    same,
    state,
    test_a_few_stay_and_the_newest_counts_even_if_its_step_is_lower,
    test_what_is_saved_is_loaded,
    test_where_none_is_intact_nothing_is_removed_and_all_is_told,
)

pytestmark = pytest.mark.usefixtures("rules")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_read_can_be_deleted_while_its_tensors_live(tmp_path: Path) -> None:
    """W3: a run keeps the best weights that it has read."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state(1))
    read, _ = checkpoints.load()
    for step in (2, 3, 4):
        checkpoints.save(state(step))
    assert names(tmp_path) == ["000003-step-3", "000004-step-4"]
    assert same(read, state(1))


def test_one_that_another_program_has_open_stays_until_a_later_save(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    first = checkpoints.save(state(1))
    with open(first / "weights.safetensors", "rb"):
        for step in (2, 3, 4):
            checkpoints.save(state(step))
        assert names(tmp_path) == ["000001-step-1", "000003-step-3", "000004-step-4"]
    checkpoints.save(state(5))
    assert names(tmp_path) == ["000004-step-4", "000005-step-5"]


def test_a_damaged_one_is_passed_over_and_deleted(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    newest = [checkpoints.save(state(step)) for step in (1, 2)][-1]
    (newest / "weights.safetensors").write_bytes(b"half")
    read, warnings = checkpoints.load()
    assert same(read, state(1))
    assert "damaged" in warnings[0]
    assert names(tmp_path) == ["000001-step-1"]
