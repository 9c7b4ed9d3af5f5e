"""Folders that are written whole or not at all: made under a hidden name beside their place, then renamed."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tinylm.errors import TinyLMError
from tinylm.system.files import fsync, patiently, remove_stale


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, under a hidden name, which is gone after the block unless it has been moved.

    Raises:
        OSError: it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(folder.parent, f".{glob.escape(folder.name)}.????????")
    temporary = hidden_name(folder)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def hidden_name(folder: Path) -> Path:
    """A name beside the folder that nobody has."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")


def flush_all(folder: Path) -> None:
    """Waits until everything in a folder is on the disk."""
    for path in (*folder.rglob("*"), folder):
        fsync(path)


def check_writable(folder: Path, option: str = "--out") -> None:
    """Raises TinyLMError when no folder can be made here, with the option that takes another place as the remedy."""
    above = next((parent for parent in Path(os.path.abspath(folder)).parents if parent.exists()), None)
    if above is None:  # a drive of Windows that is not there
        raise TinyLMError("there is no such drive", where=str(folder), remedy=f"Choose another {option}")
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise TinyLMError("nothing can be written here", where=str(above), remedy=f"Choose another {option}")


def move_into_place(temporary: Path, folder: Path, *, force: bool, keep_old: bool = False,
                    option: str = "--out") -> None:
    """Renames the temporary folder to `folder`. Where that fails, what was there is there again.

    Args:
        force: a folder that is there is replaced.
        keep_old: what is replaced becomes `folder`.old instead of being deleted.
        option: the option that takes another place, for the error.

    Raises:
        TinyLMError: another process has put something there.
        OSError: something could not be renamed.
    """
    moves, gone = [(temporary, folder)], Path(f"{hidden_name(folder)}.old")
    if force and folder.is_dir() and any(folder.iterdir()):
        old = folder.with_name(f"{folder.name}.old")
        moves[:0] = [(old, gone), (folder, old)] if keep_old else [(folder, gone)]
    with ExitStack() as undo:
        with suppress(OSError):
            folder.rmdir()  # an empty one: Windows renames nothing onto it
            undo.callback(folder.mkdir, exist_ok=True)
        for source, target in moves:
            if os.path.lexists(source):
                _move(source, target, option)
                undo.callback(_move_back, target, source)
        undo.pop_all()  # all are moved
    shutil.rmtree(gone, ignore_errors=True)


def _move(source: Path, target: Path, option: str) -> None:
    try:
        patiently(os.rename, source, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise TinyLMError("another process has put a folder here meanwhile", where=str(target),
                              remedy=f"Choose another {option}") from None
        raise


def _move_back(source: Path, target: Path) -> None:
    with suppress(OSError):
        patiently(os.rename, source, target)
