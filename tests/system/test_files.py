"""Files that are replaced whole or not at all."""

import os
import threading
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


def test_what_a_kill_left_is_removed_and_a_link_is_not_written_through(tmp_path: Path) -> None:
    path, other, left = tmp_path / "a.txt", tmp_path / "other.txt", tmp_path / ".a.txt.01234567.new"
    other.write_text("another file")
    left.hardlink_to(other)
    os.utime(left, (0, 0))
    write_atomically(path, "mine")
    assert (path.read_text(), other.read_text()) == ("mine", "another file")
    assert not left.exists()


def test_several_may_write_a_file_at_once(tmp_path: Path) -> None:
    path, barrier, failed = tmp_path / "a.txt", threading.Barrier(4), list[OSError]()

    def write(text: str) -> None:
        for _ in range(20):
            barrier.wait(timeout=60)
            try:
                write_atomically(path, text)
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=write, args=(f"{number}" * 1000,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert path.read_text() in {f"{number}" * 1000 for number in range(4)}
    assert list(tmp_path.iterdir()) == [path]
