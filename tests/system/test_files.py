"""Files that are replaced whole or not at all."""

from pathlib import Path

import pytest

from tinylm.system.files import replaced_atomically, write_atomically


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("first", "second"):
        with replaced_atomically(path) as temporary:
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_stays_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "first")
    with pytest.raises(FileNotFoundError), replaced_atomically(path) as temporary:
        (temporary / "no folder").write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_a_kill_left_is_not_written_through(tmp_path: Path) -> None:
    path, other = tmp_path / "a.txt", tmp_path / "other.txt"
    other.write_text("another file")
    (tmp_path / ".a.txt.new").hardlink_to(other)
    write_atomically(path, "mine")
    assert (path.read_text(), other.read_text()) == ("mine", "another file")
