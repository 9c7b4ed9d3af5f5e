"""A lock is held within its block, whatever another process does to its file before, and leaves no file behind."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tinylm.system.locks import exclusive


def test_only_one_is_in_the_block_and_no_file_stays(tmp_path: Path) -> None:
    path, inside, most = tmp_path / ".lock", [0], [0]

    def work() -> None:
        for _ in range(20):
            try:
                with exclusive(path):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.001)
                    inside[0] -= 1
            except TimeoutError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_goes_between_two_looks_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the process before leaves its block in that moment."""
    path, calls = tmp_path / ".lock", list[Path]()
    touch = Path.touch

    def touch_and_lose(self: Path, *arguments: Any, **named: Any) -> None:
        touch(self, *arguments, **named)
        calls.append(self)
        if len(calls) == 1:
            self.unlink()

    monkeypatch.setattr(Path, "touch", touch_and_lose)
    with exclusive(path):
        assert path.exists()
        with pytest.raises(TimeoutError), exclusive(path):
            raise AssertionError("the lock is held")
    assert calls == [path] * 3
    assert not path.exists()


def test_ctrl_c_before_the_lock_is_held_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, touch = tmp_path / ".lock", Path.touch

    def touch_and_stop(self: Path) -> None:
        touch(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "touch", touch_and_stop)
    with pytest.raises(KeyboardInterrupt), exclusive(path):
        raise AssertionError("the block is not entered")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    with exclusive(path):
        monkeypatch.setattr(Path, "touch", touch_and_stop)
        with pytest.raises(KeyboardInterrupt), exclusive(path):
            raise AssertionError("another holds the lock")
        assert path.exists()
    assert not path.exists()
